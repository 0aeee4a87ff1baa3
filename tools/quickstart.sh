#!/usr/bin/env bash
# From a fresh clone to a trained, evaluated and plotted Liquid-S4 model: a few minutes on two cores.
# Usage: tools/quickstart.sh    (a second run keeps the first one's folder and takes another)
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

data=data/quickstart-listops # as in experiments/quickstart/listops.yaml
train_samples=50000 val_samples=1000 test_samples=2000
min_length=10 max_length=50
max_depth=3 max_args=4

# runs/quickstart, or with a number where that is taken.
new_run() {
  local name=runs/quickstart n=2
  while [ -e "$name" ]; do
    name=runs/quickstart-$n
    n=$((n + 1))
  done
  echo "$name"
}

say "1/6 Packages"
tools/install.sh build

say "2/6 Build (build/release)"
# Kernels take nvcc minutes, for nothing where no GPU would run them.
cuda=OFF
if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q "^GPU "; then cuda=AUTO; fi
configure release -DEBB_BUILD_TESTS=OFF -DEBB_BUILD_BENCH=OFF "-DEBB_CUDA=$cuda" >/dev/null
cmake --build build/release --target ebb_program -j "$(build_jobs)"
ebb=build/release/ebb

say "3/6 Data: ListOps, expressions such as [MAX 2 9 [MIN 4 7 ] 0 ] to evaluate"
"$ebb" data listops "$data" --replace --train "$train_samples" --val "$val_samples" --test "$test_samples" \
  --min-length "$min_length" --max-length "$max_length" --max-depth "$max_depth" --max-args "$max_args" --seed 1

run=$(new_run)
say "4/6 Train a Liquid-S4 model"
[ "$run" = runs/quickstart ] || echo "runs/quickstart is there already and stays as it is."
"$ebb" train experiment=quickstart/listops "run_dir=$run"

say "5/6 Evaluate on the test split"
"$ebb" eval "$run" --split test

say "6/6 Draw the learning curves"
"$ebb" plot "$run"

cat <<EOF

Done. $run holds
  best.safetensors, last.safetensors  checkpoints: best on validation, and last
  config.yaml                         every setting of the run
  metrics.jsonl, events.out.tfevents* loss and accuracy, also for TensorBoard
  curves.png                          the learning curves
Try next
  PATH=\$PWD/build/release:\$PATH
  ebb info $run
  ebb train experiment=quickstart/listops model.d_model=96 run_dir=runs/wide
  ebb plot $run runs/wide -o compare.png
  ebb --help
README.md has a ten-minute tour.
EOF

#!/usr/bin/env bash
# From a fresh clone to a trained, evaluated and plotted Liquid-S4 model: a few minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

data=data/quickstart-listops
run=runs/quickstart
train_samples=20000 val_samples=1000 test_samples=1000
min_length=20 max_length=100
max_depth=4 max_args=4

say "Packages"
tools/install.sh build

say "Build (build/release)"
configure build/release -DCMAKE_BUILD_TYPE=Release -DEBB_BUILD_TESTS=OFF -DEBB_BUILD_BENCH=OFF >/dev/null
cmake --build build/release --target ebb_program -j "$(build_jobs)"
ebb=build/release/ebb

say "ListOps: $train_samples training expressions of $min_length to $max_length tokens ($data)"
"$ebb" data listops "$data" --train "$train_samples" --val "$val_samples" --test "$test_samples" \
  --min-length "$min_length" --max-length "$max_length" --max-depth "$max_depth" --max-args "$max_args" --seed 1

say "Train a Liquid-S4 model ($run)"
"$ebb" train experiment=quickstart/listops "run_dir=$run"

say "Test split"
"$ebb" eval "$run" --split test

say "Learning curves"
"$ebb" plot "$run" -o "$run/curves.png"

cat <<EOF

What you have now
  $run/    checkpoints (best.safetensors, last.safetensors), the resolved configuration, metrics,
                      TensorBoard events and curves.png
What to do next
  $ebb info experiment=quickstart/listops                      the model, layer by layer
  $ebb train experiment=quickstart/listops model.layer.liquid_kernel=series run_dir=runs/series
  $ebb train --resume $run                            go on from the last checkpoint
  $ebb plot $run runs/series -o compare.png           two runs in one picture
EOF

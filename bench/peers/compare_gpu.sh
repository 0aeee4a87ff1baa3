#!/usr/bin/env bash
# Training steps of ebb and of PyTorch on the same GPU, at the published sizes of the Long Range Arena.
# Usage: bench/peers/compare_gpu.sh BENCH_STEP [OPTION of torch_s4.py ...]
# Prints one line a step, "name, ebb ms, PyTorch ms, ratio, PyTorch's forms"; above 1 ebb is faster. What PyTorch cannot
# do (memory, or no form that works) and each step's time limit are told on standard error.
# PYTHON: the interpreter that has torch (default python3); EBB_COMPARE_SECONDS: limit of a step (default 40)
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
limit=${EBB_COMPARE_SECONDS:-40}
if [ $# -lt 1 ] || [ ! -x "$1" ]; then
  echo "compare_gpu.sh: the first argument is the program bench_step; build it with CUDA" >&2
  exit 2
fi
bench=$(realpath "$1")
shift

# The scan is left out: in PyTorch it is a loop over thousands of steps.
configs="listops imdb pathfinder cifar aan pathx"
failed=0
printf '%-36s %10s %10s %10s\n' part "ebb ms" "torch ms" torch/ebb
for config in $configs; do
  for liquid in null polyb series; do
    [ "$config/$liquid" != cifar/series ] || continue # causal against bidirectional
    if ! timeout "$limit" "$python" "$here/torch_s4.py" --device cuda --precision tf32 --config "$config" \
      --liquid "$liquid" --parts step --ebb "$bench" "$@" | grep '^train_step/'; then
      echo "compare_gpu.sh: $config/$liquid: no time" >&2
      failed=$((failed + 1))
    fi
  done
done
[ "$failed" -eq 0 ]

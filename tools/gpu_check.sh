#!/usr/bin/env bash
# Tests and times ebb on a GPU. The machine that builds need not have one.
# Usage: tools/gpu_check.sh [build|run] [OPTION ...]
#   build   compiles the tests, the benches and the program and packs them, with the shared libraries and the
#           conformance cases that they need, into .gpu/bundle.tar.xz; needs nvcc
#   run     unpacks the bundle and runs its parts on the GPU of this machine; builds first where there is no bundle or
#           where its programs do not start here
#   without either: build where there is nvcc, then run
# Options
#   --archs LIST      GPUs to build for (default "80-real;90a-real")
#   --cuda-libraries  pack cuBLAS, cuFFT and cuRAND too; otherwise the toolkit's or PyTorch's are used where it runs
#   --parts LIST      comma separated, of: tests,train,rates,benches,torch,sanitizer (default: all; torch where Python has it)
#   --seconds N       time for all parts together (default: none)
#   --logs FOLDER     where the logs go (default: $OUT, else .gpu/logs): one file a part, and summary.txt
# Exit status 1 if anything failed, and a table last. A failing part does not hide the others.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

bundle=.gpu/bundle.tar.xz
most_mib=56 # of the bundle; what carries it to the GPU may take 64 MiB with the sources
archs='80-real;90a-real'
cuda_libraries=false
parts=tests,train,rates,benches,torch,sanitizer
logs=${OUT:-.gpu/logs}
deadline=0 # in $SECONDS; 0: none
mode=
while [ $# -gt 0 ]; do
  case $1 in
  build | run) mode=$1 ;;
  --archs) archs=$2 && shift ;;
  --cuda-libraries) cuda_libraries=true ;;
  --parts) parts=$2 && shift ;;
  --seconds) deadline=$((SECONDS + $2)) && shift ;;
  --logs) logs=$2 && shift ;;
  *) die "unknown argument $1; see the head of the script" ;;
  esac
  shift
done

benches="bench_conv bench_kernel bench_nn bench_step bench_rates"

# ---- build

# Tests that can run on a GPU: those that ask for the devices there are, or open one by name.
device_tests() {
  local files
  files=$(grep -lrE --include='test_*.cc' 'devices\(\)|"cuda' tests | grep -v /emulator/)
  xargs -n 1 basename -s .cc <<<"$files" | sort
}

# Shared libraries of the programs that a machine with a GPU may lack, one path a line.
libraries_of() {
  local left_out='/(libc|libm|libdl|librt|libpthread|libstdc\+\+|libgcc_s|ld-linux[^/]*|libcuda|libnvidia[^/]*)\.so'
  $cuda_libraries || left_out+='|/(libcublas|libcublasLt|libcufft|libcurand|libnvJitLink)\.so'
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | grep -vE "$left_out"
}

build() {
  local tests nvcc folder=build/gpu stage program targets launcher=()
  nvcc=$(find_nvcc)
  [ -n "$nvcc" ] || die "no nvcc to build with: put it on PATH or set CUDA_HOME"
  tests=$(device_tests)
  if command -v ccache >/dev/null; then launcher=(-DCMAKE_CUDA_COMPILER_LAUNCHER=ccache); fi
  # shellcheck disable=SC2016
  configure release -B "$folder" -DEBB_CUDA=ON -DEBB_NATIVE=OFF -DCMAKE_CUDA_ARCHITECTURES="$archs" \
    -DCMAKE_BUILD_RPATH='$ORIGIN/../lib' "${launcher[@]}" >/dev/null
  targets="$tests $benches ebb_program"
  # shellcheck disable=SC2086
  cmake --build "$folder" -j "$(build_jobs)" --target $targets
  stage=$(mktemp -d)
  mkdir -p "$stage/bin" "$stage/lib" .gpu
  for program in $tests; do cp "$folder/tests/$program" "$stage/bin/"; done
  for program in $benches; do cp "$folder/bench/$program" "$stage/bin/"; done
  cp "$folder/ebb" "$stage/bin/"
  strip "$stage"/bin/*
  libraries_of "$stage"/bin/* | xargs -I{} cp -L {} "$stage/lib/"
  [ ! -d ../shared/golden ] || cp -r ../shared/golden "$stage/golden"
  git describe --always --dirty >"$stage/version" 2>/dev/null || echo unknown >"$stage/version"
  # The programs share most of their content, which a window of 192 MiB finds.
  tar -C "$stage" -c . | xz -T1 --lzma2=preset=6,dict=192MiB >"$bundle.new"
  rm -rf "$stage"
  [ "$(stat -c %s "$bundle.new")" -le $((most_mib << 20)) ] ||
    die "$bundle.new has more than $most_mib MiB; build for one architecture (--archs 90a-real)"
  mv "$bundle.new" "$bundle"
  ls -l "$bundle"
}

# ---- run

# Where CUDA's libraries are: the toolkit's folder, or the wheels that PyTorch brings.
cuda_library_folders() {
  ls -d /usr/local/cuda/lib64 2>/dev/null || true
  python3 - <<'PYTHON' 2>/dev/null || true
import glob, importlib.util
spec = importlib.util.find_spec("nvidia")
for root in spec.submodule_search_locations if spec else []:
    print("\n".join(glob.glob(root + "/*/lib")))
PYTHON
}

place=
trap 'rm -rf "$place"' EXIT

# The bundle in a temporary folder. Its programs are started by "${ebb[@]}", so that the libraries they find are no
# one else's.
unpack() {
  rm -rf "$place"
  place=$(mktemp -d)
  tar -C "$place" -xJf "$bundle"
  ebb=(env "LD_LIBRARY_PATH=$place/lib:$(cuda_library_folders | paste -sd:)")
  export EBB_EXPERIMENTS=$PWD/experiments EBB_TEST_DEVICES=cuda
  [ ! -d "$place/golden" ] || export EBB_TEST_GOLDEN=$place/golden
}

# Whether the unpacked programs find all their libraries here; says what is missing.
starts() {
  local missing
  missing=$("${ebb[@]}" ldd "$place"/bin/* 2>&1 | grep -E 'not found|not a dynamic|cannot execute' | sort -u || true)
  [ -n "$missing" ] || return 0
  printf 'the bundle does not run here:\n%s\n' "$missing" >&2
  return 1
}

results=() # "OK|FAILED|..." name, seconds, note
failures=0

# record STATUS NAME SECONDS NOTE
record() {
  results+=("$(printf '%-8s %-36s %5d s  %s' "$1" "$2" "$3" "$4")")
  case $1 in OK | skipped | partly) ;; *) failures=$((failures + 1)) ;; esac
}

# Seconds that a piece of work may take: its own limit, or what is left; 0: none left.
limited() {
  local left=$((deadline - SECONDS))
  if [ "$deadline" -eq 0 ] || [ "$left" -gt "$1" ]; then
    echo "$1"
  else
    echo $((left > 0 ? left : 0))
  fi
}

# attempt PART NAME LIMIT COMMAND...: appends output to the part's log. Sets `status` (124: over its limit) and `output`.
attempt() {
  local part=$1 name=$2 limit start=$SECONDS
  limit=$(limited "$3")
  shift 3
  output=$place/output
  status=125
  echo "no time left" >"$output"
  if [ "$limit" -gt 0 ]; then
    status=0
    timeout -k 5 "$limit" "$@" >"$output" 2>&1 </dev/null || status=$?
  fi
  took=$((SECONDS - start))
  { printf '\n==== %s: %s (status %d, %d s)\n' "$name" "$*" "$status" "$took" && cat "$output"; } >>"$logs/$part.log"
}

# What became of an attempt, in a word and a note.
judge() {
  case $status in
  0) echo "OK ${1:-}" ;;
  124 | 137) echo "FAILED over its time limit" ;;
  125) echo "not-run no time left" ;;
  *)
    local said
    said=$(grep -E '\[  FAILED  \]|ERROR SUMMARY|ERROR OCCURRED|[Ee]rror' "$output" || cat "$output")
    echo "FAILED $(tail -n 1 <<<"$said" | cut -c 1-100)"
    ;;
  esac
}

run_tests() {
  local test verdict note
  for test in "$place"/bin/test_*; do
    attempt tests "$(basename "$test")" 240 "${ebb[@]}" tests/support/run_isolated.sh "$test"
    note=$(sed -nE 's/^\[  (PASSED|SKIPPED)  \] ([0-9]+ tests?).*/\2 \1/p' "$output" | paste -sd, | tr '[:upper:]' '[:lower:]')
    verdict=$(judge "$note")
    # A test binary that skipped or ran nothing has shown nothing.
    [[ $verdict != OK* ]] || grep -qE '^\[  PASSED  \] [1-9]' "$output" || verdict="FAILED nothing ran"
    record "${verdict%% *}" "$(basename "$test")" "$took" "${verdict#* }"
  done
}

# A short training run, repeated: both must end with the same bits.
run_train() {
  local program=$place/bin/ebb verdict run common
  attempt train "data" 60 "${ebb[@]}" "$program" data listops "$place/listops" --train 2000 --val 200 --test 200 --max-depth 3 --max-args 4 \
    --min-length 10 --max-length 50 --seed 1
  common=(experiment=quickstart/listops "dataset.data_dir=$place/listops" device=cuda trainer.max_epochs=2)
  for run in first second; do
    attempt train "train $run" 120 "${ebb[@]}" "$program" train "${common[@]}" "run_dir=$place/run"
    verdict=$(judge "$(grep -E '^epoch 2' "$output" | tail -n 1 | tr -s ' ')")
    record "${verdict%% *}" "training, $run run" "$took" "${verdict#* }"
    # A checkpoint names its folder, so both runs have the same.
    mv "$place/run/last.safetensors" "$place/$run.safetensors" || true
    rm -rf "$place/run"
  done
  attempt train "compare" 60 cmp "$place/first.safetensors" "$place/second.safetensors"
  verdict=$(judge "the same bits")
  record "${verdict%% *}" "training repeats itself" "$took" "${verdict#* }"
}

# Small cases under compute-sanitizer, which slows kernels down many times: "binary filter" a line.
sanitized="test_cuda_device *
test_row_fft *
test_adamw *
test_nn_cuda *
test_norm *
test_s4_conv *
test_s4_series *
test_s4_scan *
test_ssm_diag *
test_ssm_nplr *"

run_sanitizer() {
  local tool binary filter verdict sanitizer
  sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)
  if [ -z "$sanitizer" ]; then
    record FAILED compute-sanitizer 0 "not installed"
    return
  fi
  for tool in memcheck racecheck; do
    while read -r binary filter; do
      [ -x "$place/bin/$binary" ] || continue
      attempt sanitizer "$tool $binary" 30 "${ebb[@]}" "$sanitizer" --tool "$tool" --target-processes all --error-exitcode 9 \
        tests/support/run_isolated.sh "$place/bin/$binary" "--gtest_filter=$filter"
      verdict=$(judge "$(grep -E 'SUMMARY' "$output" | tail -n 1 | tr -d '=')")
      # No error until its time was over.
      [ "$status" -ne 124 ] || grep -qE '=+ (Error|Invalid|Race|Warning)' "$output" || verdict="partly no error in $took s"
      record "${verdict%% *}" "$tool $binary" "$took" "${verdict#* }"
    done <<<"$sanitized"
  done
}

run_rates() {
  local verdict
  attempt rates bench_rates 60 "${ebb[@]}" "$place/bin/bench_rates"
  verdict=$(judge "$(head -n 1 "$output")")
  record "${verdict%% *}" bench_rates "$took" "${verdict#* }"
  [ "$status" -ne 0 ] || cat "$output"
}

# run_bench LABEL NAME LIMIT ARGUMENT...: rows that failed say so in the note.
run_bench() {
  local label=$1 name=$2 limit=$3 verdict bad
  shift 3
  attempt benches "$label" "$limit" "${ebb[@]}" "$place/bin/$name" --device=cuda "$@"
  bad=$(grep -c 'ERROR OCCURRED' "$output" || true)
  [ "$status" -ne 0 ] || [ "$bad" -eq 0 ] || status=1
  verdict=$(judge "$(grep -cE '^[a-z_]+/' "$output" || true) rows")
  [ "$bad" -eq 0 ] || verdict="FAILED $bad rows with errors"
  record "${verdict%% *}" "$label" "$took" "${verdict#* }"
}
run_benches() {
  local ours='--benchmark_filter=train_step/(listops|imdb|aan|cifar|pathfinder|pathx)/(null|polyb|series|scan)/'
  run_bench bench_step bench_step 120 --precision=tf32 "$ours"
  run_bench "bench_step, bfloat16 storage" bench_step 120 --precision=tf32 --storage=bf16 "$ours"
  run_bench bench_conv bench_conv 60
  run_bench bench_kernel bench_kernel 60
  run_bench bench_nn bench_nn 60 --precision=tf32
}

run_torch() {
  local verdict
  if ! python3 -c 'import torch' 2>/dev/null; then
    record skipped "PyTorch beside it" 0 "Python has no torch here"
    return
  fi
  # PyTorch must not meet the bundle's libraries.
  printf '#!/usr/bin/env bash\nexec %s "$@"\n' "$(printf '%q ' "${ebb[@]}" "$place/bin/bench_step")" >"$place/bench_step"
  chmod +x "$place/bench_step"
  attempt torch compare_gpu.sh 240 bench/peers/compare_gpu.sh "$place/bench_step"
  verdict=$(judge "$(grep -cE '^train_step/' "$output" || true) rows")
  record "${verdict%% *}" "PyTorch beside it" "$took" "${verdict#* }"
  cat "$output"
}

run() {
  local part
  [ -f "$bundle" ] || build
  unpack
  if ! starts; then
    build
    unpack
    starts || die "what was built here does not run here either"
  fi
  mkdir -p "$logs"
  {
    echo "ebb $(cat "$place/version"), $(date -u '+%Y-%m-%d %H:%M UTC'), parts $parts"
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>&1 || echo "no nvidia-smi here"
  } | tee "$logs/summary.txt"
  for part in tests train rates benches torch sanitizer; do
    [[ ,$parts, == *,$part,* ]] || continue
    rm -f "$logs/$part.log"
    say "$part"
    "run_$part"
  done
  say "Summary"
  printf '%s\n' "${results[@]}" "$failures of ${#results[@]} failed; $SECONDS s; logs in $logs" | tee -a "$logs/summary.txt"
  [ "$failures" -eq 0 ]
}

case $mode in
build) build ;;
run) run ;;
*)
  [ -z "$(find_nvcc)" ] || build
  run
  ;;
esac

#!/usr/bin/env bash
# Installs, builds and tests everything; stops at the first failing step and names it and its log.
# Usage: tools/test.sh    (no arguments, no input; logs in build/logs)
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

logs=build/logs
fuzz_runs=50000
jobs=$(build_jobs)
summary=()
export GTEST_COLOR=no
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
if [ -f tests/support/lsan.supp ]; then
  export LSAN_OPTIONS=suppressions=$PWD/tests/support/lsan.supp:print_suppressions=0
fi

elapsed() { printf '%d:%02d' $((SECONDS / 60)) $((SECONDS % 60)); }

# step NAME FUNCTION: runs it with its output in a log; on failure shows the end of the log and stops.
step() {
  local name=$1 action=$2 log=$logs/$2.log start=$SECONDS status
  printf '== %-42s [%s]\n' "$name" "$(elapsed)"
  rm -f "$logs/note"
  # Not "if" or "||": they would switch set -e off inside the function.
  set +e
  (
    set -e
    "$action"
  ) >"$log" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" -ne 0 ]; then
    grep -vE '^ +Start +[0-9]+:| Passed +[0-9.]+ sec' "$log" | tail -n 120 || true
    printf '\nFAILED: %s (exit status %d) after %d s; whole log: %s\n' "$name" "$status" $((SECONDS - start)) "$log"
    exit 1
  fi
  summary+=("$(printf '%-42s %5d s  %s' "$name" $((SECONDS - start)) "$(cat "$logs/note" 2>/dev/null)")")
}

# What the summary says beside the running step.
note() { printf '%s' "$*" >"$logs/note"; }

# tracked PATTERN...: the tracked files that match, at least one.
tracked() {
  local files
  files=$(git ls-files "$@")
  [ -n "$files" ] || die "no tracked file matches $*; run this in a git checkout"
  echo "$files"
}

install_packages() { tools/install.sh all; }

check_format() {
  local files
  files=$(tracked '*.c' '*.h' '*.cc' '*.hh' '*.cu' '*.cuh')
  xargs clang-format --dry-run -Werror <<<"$files"
  note "$(wc -l <<<"$files") files"
}

# Every public header stands alone as C11 and as C++17.
check_headers() {
  local headers header
  headers=$(tracked 'include/*.h')
  while read -r header; do
    printf '#include "%s"\n' "${header#include/}" >"$logs/header.c"
    gcc -std=c11 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$logs/header.c"
    g++ -x c++ -std=c++17 -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only "$logs/header.c"
  done <<<"$headers"
  note "$(wc -l <<<"$headers") headers"
}

build_release() {
  configure release
  cmake --build build/release -j "$jobs"
}

build_emulated() {
  configure emulated
  cmake --build build/emulated -j "$jobs"
}

build_sanitize() {
  configure sanitize
  cmake --build build/sanitize -j "$jobs"
}

# run_ctest FOLDER OPTION...: each test gets two threads on any machine, enough to find races between them, few
# enough for "-j".
run_ctest() {
  local folder=$1
  shift
  OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 OMP_WAIT_POLICY=passive \
    ctest --test-dir "$folder" -j "$(nproc)" --output-on-failure --no-tests=error "$@"
  note "$(ctest --test-dir "$folder" -N "$@" | sed -n 's/^Total Tests: //p') tests"
}
test_release() { run_ctest build/release; }
# Cases of the CPU alone have had their turn.
test_emulated() { run_ctest build/emulated -E '"cpu"'; }
test_sanitize() { run_ctest build/sanitize; }

# Every public header as device code. The kernels themselves are part of the release build where nvcc is there.
compile_cuda() {
  local folder=build/nvcc
  mkdir -p "$folder"
  tracked 'include/*.h' | sed 's|^include/\(.*\)|#include "\1"|' >"$folder/headers.cu"
  "$(find_nvcc)" -std=c++17 -Werror all-warnings -Xcompiler -Wall -Iinclude -gencode arch=compute_90a,code=sm_90a \
    -c "$folder/headers.cu" -o "$folder/headers.o"
  note "$(wc -l <"$folder/headers.cu") headers"
}

# Short libFuzzer runs from the seeds in tests/fuzz/corpus.
run_fuzzers() {
  local target name seeds count=0
  configure fuzz
  for target in tests/fuzz/fuzz_*.c; do
    [ -e "$target" ] || continue
    name=$(basename "$target" .c)
    cmake --build build/fuzz --target "$name" -j "$jobs"
    seeds=()
    [ ! -d "tests/fuzz/corpus/${name#fuzz_}" ] || seeds=("tests/fuzz/corpus/${name#fuzz_}")
    rm -rf "build/fuzz/corpus/$name"
    mkdir -p "build/fuzz/corpus/$name"
    echo "fuzzing: $name"
    "build/fuzz/tests/fuzz/$name" -seed=1 -runs="$fuzz_runs" -max_total_time=60 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/$name" "${seeds[@]}"
    count=$((count + 1))
  done
  note "$count targets, $fuzz_runs runs each"
}

check_tidy() {
  local files
  files=$(tracked 'src/host/*.c' 'tools/*.c' 'examples/*.c')
  # Without CUDA the files of that backend are in no build for clang-tidy to go by.
  [ -n "$(find_nvcc)" ] || files=$(grep -v '/cuda_' <<<"$files")
  xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p build/release <<<"$files"
  note "$(wc -l <<<"$files") files"
}

mkdir -p "$logs"
step "Packages" install_packages
step "Format of the sources" check_format
step "Headers alone, as C11 and C++17" check_headers
step "Release build" build_release
step "Build for the emulated CUDA device" build_emulated
step "Debug build with ASan and UBSan" build_sanitize
step "Tests, release" test_release
step "Tests, emulated CUDA device" test_emulated
step "Tests, ASan and UBSan" test_sanitize
if [ -n "$(find_nvcc)" ]; then
  step "Headers with nvcc" compile_cuda
else
  summary+=("Headers and kernels with nvcc              not run: no nvcc on this machine")
fi
step "Fuzzers" run_fuzzers
step "clang-tidy" check_tidy

say "Summary"
printf '%s\n' "${summary[@]}"
for build in release emulated sanitize; do
  printf '%s: %s\n' "$build" "$(grep -E '^[0-9]+% tests passed' "$logs/test_$build.log")"
done
printf 'everything passed in %s\n' "$(elapsed)"

#!/usr/bin/env bash
# Prints what ptxas says of every CUDA kernel, as a markdown table, most spilled bytes and registers first.
# Usage: tools/kernel_report.sh [--most-spilled BYTES] [FILE.cu ...]    (default: 0 bytes, every src/kernels/*.cu)
# Exit status 1 where a kernel spills more bytes (stores and loads) than that. The table goes to standard output, what is
# going on to standard error. Static shared memory only: what a launch asks for is not ptxas's to know.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

most=0
if [ "${1:-}" = --most-spilled ]; then
  most=${2:-}
  [[ $most =~ ^[0-9]+$ ]] || die "--most-spilled wants a number of bytes"
  shift 2
fi
sources=("$@")
[ ${#sources[@]} -gt 0 ] || sources=(src/kernels/*.cu)
nvcc=$(find_nvcc)
[ -n "$nvcc" ] || die "no nvcc: put it on PATH or set CUDA_HOME"
folder=build/kernel_report
rm -rf "$folder"
mkdir -p "$folder"

# compile SOURCE: ptxas's words in $folder/<name>.log.
compile() {
  local log
  log=$folder/$(basename "$1" .cu).log
  echo "$1" >&2
  "$nvcc" -std=c++17 -O3 --expt-relaxed-constexpr -Iinclude -Isrc -gencode arch=compute_80,code=sm_80 \
    -gencode arch=compute_90a,code=sm_90a -Xptxas -v -c "$1" -o "$folder/$(basename "$1" .cu).o" >"$log" 2>&1 || {
    cat "$log" >&2
    die "$1 does not compile"
  }
}

# From ptxas's words to lines "spilled registers arch kernel stack stores loads shared", mangled names.
numbers() {
  awk '
    /Compiling entry function/ { split($0, quoted, "\047"); kernel = quoted[2]; arch = quoted[4] }
    /bytes stack frame/ {
      for (i = 1; i < NF; i++) {
        if ($(i + 2) ~ /^stack/) stack = $i
        if ($(i + 2) == "spill" && $(i + 3) ~ /^stores/) stores = $i
        if ($(i + 2) == "spill" && $(i + 3) ~ /^loads/) loads = $i
      }
    }
    /Used [0-9]+ registers/ && kernel != "" {
      registers = shared = 0
      for (i = 1; i < NF; i++) {
        if ($i == "Used") registers = $(i + 1)
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared = $i
      }
      print stores + loads, registers, arch, kernel, stack, stores, loads, shared
      kernel = ""
    }' "$folder"/*.log | sort -k1,1nr -k2,2nr -k4,4 -k3,3
}

# Names for people: without arguments and namespaces.
shorten() { c++filt | sed -E 's/\(anonymous namespace\):://g; s/^void //; s/\((int|bool|unsigned int)\)//g; s/\(.*$//'; }

for source in "${sources[@]}"; do compile "$source"; done
numbers >"$folder/numbers"
[ -s "$folder/numbers" ] || die "ptxas named no kernel; its words are in $folder"
cut -d' ' -f4 "$folder/numbers" | shorten >"$folder/names"
echo '| kernel | GPU | registers | static shared | spill stores / loads | stack |'
echo '|---|---|---|---|---|---|'
paste -d' ' "$folder/numbers" "$folder/names" |
  while read -r _ registers arch _ stack stores loads shared name; do
    # shellcheck disable=SC2016
    printf '| `%s` | %s | %s | %s | %s / %s | %s |\n' "$name" "$arch" "$registers" "$shared" "$stores" "$loads" "$stack"
  done
bad=$(awk -v most="$most" '$1 > most' "$folder/numbers" | wc -l)
[ "$bad" -eq 0 ] || die "$bad of these spill more than $most bytes"

#!/usr/bin/env bash
# Prints what ptxas says of every CUDA kernel, as a markdown table, most spilled bytes and registers first; each cell
# is for sm_80 and for sm_90a.
# Usage: tools/kernel_report.sh [--most-spilled BYTES] [FILE.cu ...]    (default: 0 bytes, every src/kernels/*.cu)
# Exit status 1 where a kernel spills more bytes (stores and loads) than that. Shared memory is the static part: what a
# launch asks for is not ptxas's to know. Standard error says what is going on.
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

# compile SOURCE: ptxas's words into $folder/<name>.log.
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

# From ptxas's words to lines "spilled registers kernel cells...", a kernel each, mangled names, worst first.
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
      used = shared = 0
      for (i = 1; i < NF; i++) {
        if ($i == "Used") used = $(i + 1)
        if ($(i + 1) == "bytes" && $(i + 2) ~ /^smem/) shared = $i
      }
      cells[kernel, arch] = used " " shared " " stores "/" loads " " stack
      if (stores + loads >= spilled[kernel] + 0) spilled[kernel] = stores + loads
      if (used >= registers[kernel] + 0) registers[kernel] = used
      kernel = ""
    }
    END {
      for (k in registers) print spilled[k], registers[k], k, cells[k, "sm_80"], cells[k, "sm_90a"]
    }' "$folder"/*.log | sort -k1,1nr -k2,2nr -k3,3
}

# Names for people: without arguments and namespaces.
shorten() {
  c++filt | sed -E 's/\(anonymous namespace\):://g; s/^void //; s/\((int|bool|unsigned int)\)//g; s/\(.*$//'
}

export nvcc folder
export -f compile die
printf '%s\n' "${sources[@]}" | xargs -P "$(build_jobs)" -I{} bash -c 'compile {}'
numbers >"$folder/numbers"
[ -s "$folder/numbers" ] || die "ptxas named no kernel; its words are in $folder"
cut -d' ' -f3 "$folder/numbers" | shorten >"$folder/names"
echo '| kernel | registers | static shared | spill stores/loads | stack |'
echo '|---|---|---|---|---|'
paste -d' ' "$folder/numbers" "$folder/names" |
  while read -r _ _ _ used8 shared8 spills8 stack8 used9 shared9 spills9 stack9 name; do
    # shellcheck disable=SC2016
    printf '| `%s` | %s, %s | %s, %s | %s, %s | %s, %s |\n' "$name" "$used8" "$used9" "$shared8" "$shared9" \
      "$spills8" "$spills9" "$stack8" "$stack9"
  done
bad=$(awk -v most="$most" '$1 > most' "$folder/numbers" | wc -l)
[ "$bad" -eq 0 ] || die "$bad of these spill more than $most bytes"

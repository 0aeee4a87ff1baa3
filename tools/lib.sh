# shellcheck shell=bash
# Shared by the scripts in this folder: source it, then call the functions.

say() { printf '\n== %s\n' "$*"; }

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# One build job a processor, fewer where memory is short (a compiler takes about 1 GiB).
build_jobs() {
  local gib jobs
  gib=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  jobs=$(nproc)
  [ "$gib" -ge "$jobs" ] || jobs=$((gib > 0 ? gib : 1))
  echo "$jobs"
}

# The nvcc to use, or nothing: the one on PATH, in CUDA_HOME, or where NVIDIA's packages put it.
find_nvcc() {
  local candidate
  for candidate in "$(command -v nvcc || true)" "${CUDA_HOME:-/nonexistent}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
    if [ -x "$candidate" ]; then
      echo "$candidate"
      return 0
    fi
  done
}

# configure PRESET OPTION...: CMake with a preset of CMakePresets.json, and with ccache where it is installed.
configure() {
  local preset=$1
  shift
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
      -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  fi
  cmake --preset "$preset" "${launcher[@]}" "$@"
}

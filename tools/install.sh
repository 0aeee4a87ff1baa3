#!/usr/bin/env bash
# Installs the Debian packages that ebb needs and this machine lacks (Debian 12, Ubuntu 24.04).
# Usage: tools/install.sh [build|all]    build: what the program needs; all (default): tests and benches too.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/lib.sh

build_packages=(
  cmake ninja-build g++ gcc ccache pkg-config
  libopenblas-dev liblapacke-dev libfftw3-dev
  libfyaml-dev libcjson-dev libprotobuf-c-dev protobuf-c-compiler zlib1g-dev libpng-dev
  gnuplot-nox graphviz
)
test_packages=(
  clang clang-tidy clang-format libomp-dev
  libgtest-dev libbenchmark-dev libboost-context-dev
)

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]; }

missing_of() {
  local package
  for package in "$@"; do
    is_installed "$package" || echo "$package"
  done
}

# Runs a command as root: directly, or through sudo.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

install_packages() {
  [ $# -gt 0 ] || return 0
  command -v apt-get >/dev/null ||
    die "this system has no apt-get; install what corresponds to these Debian packages, then run again: $*"
  if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    die "packages are missing and there is neither root nor sudo; ask an administrator for: apt-get install $*"
  fi
  echo "installing: $*"
  as_root apt-get update -qq </dev/null
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

# clang's sanitizer and libFuzzer runtimes are a package of their own, named after clang's version.
clang_runtime_package() {
  local version
  version=$(clang --version | sed -n 's/.*clang version \([0-9]*\)\..*/\1/p' | head -n 1)
  [ -n "$version" ] || die "cannot read the version from 'clang --version'"
  echo "libclang-rt-$version-dev"
}

clang_has_fuzzer() {
  local runtime
  for runtime in "libclang_rt.fuzzer-$(uname -m).a" libclang_rt.fuzzer.a; do
    [ ! -e "$(clang -print-file-name="$runtime")" ] || return 0
  done
  return 1
}

set_name=${1:-all}
case "$set_name" in
build) packages=("${build_packages[@]}") ;;
all) packages=("${build_packages[@]}" "${test_packages[@]}") ;;
*) die "unknown set '$set_name': give 'build' or 'all'" ;;
esac

mapfile -t missing < <(missing_of "${packages[@]}")
install_packages "${missing[@]}"
if [ "$set_name" = all ] && ! clang_has_fuzzer; then
  runtime=$(clang_runtime_package)
  install_packages "$runtime"
  clang_has_fuzzer || die "$runtime is installed, but clang finds no libFuzzer runtime; is another clang first on PATH?"
fi
echo "all packages are present"

#!/usr/bin/env bash
# check.sh SOURCE BUILD: installs BUILD into a temporary folder and builds the examples against it, by the CMake
# package and by pkg-config.
set -euo pipefail
source=$1 build=$2
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

cmake --install "$build" --prefix "$place/moved" >"$place/log"
mv "$place/moved" "$place/ebb" # an installed tree may be moved
cmake -S "$source/examples" -B "$place/cmake" -DCMAKE_PREFIX_PATH="$place/ebb" -DCMAKE_BUILD_TYPE=Release
cmake --build "$place/cmake"

PKG_CONFIG_PATH=$(dirname "$(find "$place/ebb" -name ebb.pc)")
export PKG_CONFIG_PATH
read -r -a flags <<<"$(pkg-config --cflags --libs ebb)"
cc -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$place/stream" "$source/examples/stream.c" "${flags[@]}"

for program in "$place/cmake/stream" "$place/stream"; do
  if "$program" "$place/none" 2>"$place/error"; then exit 1; fi
  grep -q "^stream: .*none" "$place/error"
done
"$place/ebb/bin/ebb" info --config "$place/ebb/share/ebb/experiments/quickstart/listops.yaml" >"$place/info"
grep -q "^layers.0.layer " "$place/info"

#!/usr/bin/env bash
# run_isolated.sh COMMAND...: runs it with a temporary folder of its own, removed afterwards.
folder=$(mktemp -d -t ebb_test_XXXXXX) || exit 1
chmod 755 "$folder" # tests that give up root's rights still get in
trap 'rm -rf "$folder"' EXIT
TMPDIR=$folder TEST_TMPDIR=$folder "$@"

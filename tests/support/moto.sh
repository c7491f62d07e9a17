#!/bin/sh
# Puts moto, an emulator of AWS, into a virtual environment under target/ and prints the path of
# its server, for the tests that drive the adapters against it:
#
#   GAPMEND_MOTO="$(tests/support/moto.sh)" cargo test --test aws_moto
set -eu

version=5.2.5
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
home="${CARGO_TARGET_DIR:-$root/target}/moto-$version"
server="$home/bin/moto_server"

if [ ! -x "$server" ]; then
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$version" >&2
fi
echo "$server"

#!/bin/sh
# Puts a headless browser and what drives it in place, and prints the folder of the drivers, for
# the test that looks at the status page as a person would:
#
#   GAPMEND_BROWSER="$(tests/browser/install.sh)" cargo test --test end_to_end browsing
#
# Chromium is Debian's; playwright-core and axe-core come from npm into the target folder.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
home="${CARGO_TARGET_DIR:-$here/../../target}/browser"

if ! command -v chromium >/dev/null; then
    as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
    as_root apt-get update -qq >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >&2
fi
mkdir -p "$home"
if ! cmp -s "$here/package-lock.json" "$home/package-lock.json" || [ ! -d "$home/node_modules" ]; then
    cp "$here/package.json" "$here/package-lock.json" "$home/"
    (cd "$home" && npm ci --silent --no-audit --no-fund >&2)
fi
cd "$home" && pwd

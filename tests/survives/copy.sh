#!/usr/bin/env bash
# Copies the checkout into DIR without what speaks to AWS, to the network or to people: what is
# left is the daemon's heart, the model and the tests that run one over the other. It builds in a
# fraction of the time, so that it can be built optimised: a season takes milliseconds.
#
# Usage: copy.sh DIR. Files that did not change keep their times, and cargo its work.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
mkdir -p "$1"
cd "$1"
rm -rf src tests config
(cd "$root" && git ls-files -z src tests/scenarios tests/survives config Cargo.toml Cargo.lock clippy.toml ARCHITECTURE.md |
    tar --null -T - -c) | tar x
rm -rf src/aws src/commands src/expose src/sim/wire src/main.rs

# Edits a file and leaves its time as it was.
edit() {
    local file="$1" time
    shift
    time="$(mktemp)"
    touch -r "$file" "$time"
    sed -i -E "$@" "$file"
    touch -r "$time" "$file"
    rm "$time"
}
edit src/lib.rs '/^pub mod (aws|commands|expose);/d'
edit src/sim/mod.rs '/^pub mod wire;/d'
edit Cargo.toml \
    -e '/^(aws-[a-z0-9-]+|axum|clap|clap_complete|clap_mangen|comfy-table|hyper|hyper-rustls|hyper-util|indicatif|maud|prometheus|rcgen|rustls|tokio-rustls|default-run) = /d' \
    -e '/^\[\[bench\]\]/,/^harness/d' \
    -e '/^\[profile\.dev\]/a opt-level = 2'

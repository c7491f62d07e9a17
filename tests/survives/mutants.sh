#!/usr/bin/env bash
# Mutation testing of domain/ and plan/ (needs cargo-mutants), in a copy of the daemon's heart.
#
# Usage: mutants.sh [ARGUMENTS OF cargo mutants], e.g. `--file src/plan/gates.rs` or `--shard 1/20`.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"
"$root/tests/survives/copy.sh" "$target/heart-mutants"
unset CARGO_TARGET_DIR
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_TEST_OPT_LEVEL=0
exec cargo mutants --dir "$target/heart-mutants" --config "$root/.cargo/mutants.toml" \
    --output "$target" "$@"

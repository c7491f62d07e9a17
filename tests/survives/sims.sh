#!/usr/bin/env bash
# Plays many seeds of the simulated years: builds the daemon's heart alone, optimised (copy.sh).
#
# Usage: sims.sh [COUNT [FROM]]. A seed that fails prints its history; `just sim SEED` plays it
# again in the checkout.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
target="${CARGO_TARGET_DIR:-$(cd "$here/../.." && pwd)/target}"
"$here/copy.sh" "$target/heart"
cd "$target/heart"
export CARGO_TARGET_DIR="$target/heart-built" CARGO_INCREMENTAL=0
export GAPMEND_SEEDS="${1:-10000}" GAPMEND_SEEDS_FROM="${2:-1}"
cargo test --test survives years::a_year

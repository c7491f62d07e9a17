#!/usr/bin/env bash
# Proves that the tests guard the rules of safety: switches each rule off, one after the other,
# and expects a test to fail.
#
# switches.patch gives every rule a switch. It is applied to an optimised copy of the daemon's heart
# (copy.sh), never to the checkout itself; the copy is built once, and its tests run once for each
# rule, the quick ones first, until one fails. A rule that no test misses is called SURVIVED and fails the script.
#
# `run.sh` tries all rules, `run.sh RULE…` some. Needs what the tests need, and Python 3.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"
copy="$target/heart-reverts"
"$here/../copy.sh" "$copy"
cd "$copy"
export CARGO_TARGET_DIR="$target/heart-reverts-built" CARGO_INCREMENTAL=0
patch --quiet -p1 < "$here/switches.patch"

# The longest that a stage of the tests may take, in seconds: a rule that is off may make a test
# go round in circles, and that is noticed as well.
limit="${GAPMEND_REVERT_LIMIT:-600}"
built="$(cargo test --lib --test scenarios --test survives --no-run --message-format=json 2>"$copy/build.log")" || {
    tail -40 "$copy/build.log"
    exit 1
}
tests() {
    python3 -c '
import json, sys
for line in sys.stdin:
    unit = json.loads(line) if line.startswith("{") else {}
    target = unit.get("target", {})
    if unit.get("executable") and unit.get("profile", {}).get("test") and target["name"] == sys.argv[1]:
        print(unit["executable"])' "$1" <<<"$built"
}
lib="$(tests gapmend | head -1)"
scenarios="$(tests scenarios)"
survives="$(tests survives)"

# One stage of the tests with a rule switched off; prints the first test that fails.
stage() {
    local output
    if output="$(GAPMEND_REVERT="$rule" GAPMEND_HISTORIES=40 GAPMEND_SEEDS=60 \
        timeout "$limit" "$@" 2>&1)"; then
        return 1
    fi
    awk '/^test .* FAILED/ { print $2; found = 1; exit } END { if (!found) print "no end" }' \
        <<<"$output"
}

if [ "$#" -gt 0 ]; then rules=("$@"); else
    mapfile -t rules < <(grep -ohE 'reverted\("[a-z_0-9]+"\)' -r src | cut -d'"' -f2 | sort -u)
fi
noticed() {
    stage "$lib" plan:: || stage "$lib" ledger:: || stage "$survives" stale ||
        stage "$scenarios" || stage "$survives" crash_points || stage "$survives" faults:: ||
        stage "$survives" years::a_year || true
}
rule=none
failing="$(noticed)"
if [ -n "$failing" ]; then
    echo "with every rule in force $failing fails: nothing can be said of any"
    exit 1
fi
survived=0
for rule in "${rules[@]}"; do
    caught="$(noticed)"
    [ -n "$caught" ] || survived=$((survived + 1))
    printf '%-30s %s\n' "$rule" "${caught:-SURVIVED}"
done
exit $((survived > 0))

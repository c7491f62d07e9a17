#!/usr/bin/env bash
# Makes a release in dist/: the binary with its manual, completions and unit, a bill of materials,
# and the sums of both. It refuses what is not written down and committed.
#
#   release.sh                          the version of Cargo.toml
#   release.sh --rehearse BINARY OUT    the same in OUT, of a binary that is there and of the changes
#                                       that are not released; CI does
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "release: $1" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
revision=$(git rev-parse HEAD)
notes_of() { sed -n "/^## $1\b/,/^## /p" CHANGELOG.md | sed '1d;/^## /d'; }

if [ "${1:-}" = --rehearse ]; then
    binary=$2 out=$3
    notes=$(notes_of Unreleased)
    of_binary=()
else
    out=dist
    notes=$(notes_of "$version")
    [ -n "${notes//[[:space:]]/}" ] || fail "CHANGELOG.md has no section \"## $version\"; call the one of unreleased changes so"
    [ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
    ! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || fail "v$version is tagged already; raise the version in Cargo.toml"
    GAPMEND_REVISION=$revision cargo build --release --locked
    binary=${CARGO_TARGET_DIR:-target}/release/gapmend
    of_binary=("$binary")
fi

architecture=$(uname -m)
name="gapmend-$version-linux-$architecture"
rm -rf "$out" && mkdir -p "$out/$name"

install -D -m 0755 "$binary" "$out/$name/usr/bin/gapmend"
deploy/systemd/install.sh "$out/$name"
cp LICENSE SECURITY.md config/default.toml config/liberator.toml "$out/$name/"
printf '%s\n' "$notes" >"$out/$name/NOTES.md"
# The same sources make the same archive: names in order, times of the commit.
tar --sort=name --mtime="@$(git log -1 --format=%ct)" --owner=0 --group=0 --numeric-owner \
    -czf "$out/$name.tar.gz" -C "$out" "$name"

deploy/sbom/make.py "${of_binary[@]}" >"$out/$name.cdx.json"

(cd "$out" && sha256sum "$name.tar.gz" "$name.cdx.json" >SHA256SUMS)
rm -rf "${out:?}/$name"
echo "$out/ has $version of ${revision:0:12}:"
(cd "$out" && ls -l)
echo "now: git tag -s v$version -m 'gapmend $version' && git push origin v$version"

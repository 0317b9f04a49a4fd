#!/usr/bin/env bash
# Checks infra/aws without an account: its form, its rules, its promises, and each profile made and deleted on moto, which
# stands in for AWS on this computer.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
tools=.tools/infra

if ! command -v terraform >/dev/null; then
    echo "✗ there is no terraform on the PATH; install 1.11 or newer: https://developer.hashicorp.com/terraform/install" >&2
    exit 1
fi

if ! cmp -s locks/infra.txt "$tools/installed.txt"; then
    echo "• moto and the AWS CLI, in their own $tools"
    scripts/uv venv --quiet --clear --no-project --python .venv/bin/python "$tools"
    scripts/uv pip install --quiet --python "$tools" --compile-bytecode --require-hashes -r locks/infra.txt
    cp locks/infra.txt "$tools/installed.txt"
fi

# A copy, so that a state or a backend of yours is not in the way.
INFRA_COPY=$(mktemp -d)
export INFRA_COPY
trap 'rm -rf "$INFRA_COPY"' EXIT
cp -R infra/aws/*.tf infra/aws/*.tfvars infra/aws/prices.csv infra/aws/modules infra/aws/tests "$INFRA_COPY"
rm -f "$INFRA_COPY/backend.tf"

# The provider has 700 MB: where it has to be downloaded, once is enough.
mkdir -p .tools/terraform
export TF_PLUGIN_CACHE_DIR=$PWD/.tools/terraform TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE=1
if ! terraform -chdir="$INFRA_COPY" init -input=false -no-color >"$INFRA_COPY/init.log" 2>&1; then
    sed -n "/^Error/,\$p" "$INFRA_COPY/init.log"
    echo "✗ the AWS provider could not be fetched from registry.terraform.io; where that cannot be reached, name a folder that" \
        "holds the provider:  export TF_CLI_ARGS_init=-plugin-dir=FOLDER" >&2
    exit 1
fi

scripts/checkov.sh --framework terraform --directory infra/aws --skip-path tests
.venv/bin/python -m pytest -m infra --numprocesses 3 --dist load --durations 8 "$@"

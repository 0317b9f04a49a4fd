#!/usr/bin/env bash
# Checks files against checkov's rules (its arguments are checkov's); installs it first, apart from everything else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
home=.tools/checkov

if ! cmp -s locks/checkov.txt "$home/installed.txt"; then
    echo "• checkov, in its own $home"
    scripts/uv venv --quiet --clear --no-project --python .venv/bin/python "$home"
    scripts/uv pip install --quiet --python "$home" --require-hashes -r locks/checkov.txt
    cp locks/checkov.txt "$home/installed.txt"
fi
# Without a word to its maker's service, which it would ask for texts about its rules.
# It counts what passed only if it writes a second format too, which nobody needs.
LOG_LEVEL=ERROR "$home/bin/checkov" --skip-download --quiet --compact \
    --output cli --output json --output-file-path console,/dev/null "$@" | sed '/^$/d'

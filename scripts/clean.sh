#!/usr/bin/env bash
# Deletes what this repository's commands made, and nothing that git tracks; ALL=1 also what `make setup` downloaded.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python3 scripts/stack.py down
if [ -d .run/rehearsal ]; then
    make --no-print-directory rehearse-down
fi
python3 scripts/container.py down || true # without an engine no container runs
rm -rf .run models reports .pytest_cache .mypy_cache .ruff_cache .hypothesis {phase*,rehearsal}/.mypy_cache {phase*,rehearsal}/dist
find . -name __pycache__ -type d -not -path './.venv*/*' -not -path './.tools/*' -prune -exec rm -rf {} +
if [ "${ALL:-}" = 1 ]; then
    rm -rf .venv .venv-* .tools .bench
    echo "✓ clean, as freshly cloned but for your own changes"
else
    echo "✓ clean: nothing runs; models, reports and logs are gone, .venv and downloads stay (make clean ALL=1: those too)"
fi

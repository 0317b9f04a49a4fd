#!/usr/bin/env bash
# Runs every checker on what git would commit, one line each; shows the findings of those that fail, and fails if any did.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
bin=$PWD/.venv/bin
failed=0

check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf '✓ %s%s\n' "$name" "$(counted <<<"$output")"
    else
        printf '✗ %s\n' "$name"
        printf '%s\n' "$output" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

# What a checker has counted stands in its last line.
counted() {
    tail -n 1 | sed -n '/[0-9]/s/^/: /p'
}

# Runs a checker that closes without a count, and makes one of what it said by an awk program.
count() {
    local counting=$1 said
    shift
    said=$("$@" 2>&1) || { printf '%s\n' "$said" && return 1; }
    awk "$counting" <<<"$said"
}

files() {
    "$@" && echo "$(($# - 1)) files"
}

types() {
    cd "$1" && "$bin/mypy" --config-file "$2" "${@:3}"
}

# An address in a lock ties everyone to one mirror; so does an index in a settings file, or a path of somebody's computer.
no_private_places() {
    local found=0
    grep -nE '://|^--?(index|extra-index|find-links|trusted)' locks/*.txt phase*/requirements*.txt && found=1
    grep -nE '(index|registry|find-links|proxy)[a-z-]*"? *[=:]|tool\.uv\.index|\{ *(url|git|path|index) *=' \
        pyproject.toml phase*/pyproject.toml rehearsal/pyproject.toml .pre-commit-config.yaml && found=1
    git grep -nE '(^|[^[:alnum:]_.~-])/(root|home|Users)/[[:alnum:]]' -- '*.txt' '*.toml' '*.yml' '*.yaml' '*.json' '*.env' && found=1
    return $found
}

check "ruff check" "$bin/ruff" check --quiet .
check "ruff format" "$bin/ruff" format --quiet --diff .
check "mypy scripts" types scripts ../pyproject.toml .
for project in "$@"; do
    if [ -d "$project/src" ]; then
        check "mypy $project" types "$project" ../pyproject.toml src
    fi
done
check "mypy benchmarks" "$bin/mypy" -p benchmarks
check "bandit" count 'sub(/.*Total lines of code: /, "") && sub(/[0-9]+/, "& lines")' \
    "$bin/bandit" --configfile pyproject.toml --recursive phase*/src rehearsal/src scripts benchmarks
check "shellcheck" files "$bin/shellcheck" scripts/*.sh infra/*/*.sh scripts/uv .ci/run rehearsal/bin/*
dockerfiles=()
while IFS= read -r path; do
    dockerfiles+=("$path")
done < <(git ls-files --cached --others --exclude-standard '*Dockerfile')
check "hadolint" files "$bin/hadolint" "${dockerfiles[@]}"
check "manifests" scripts/lint_manifests.sh
if command -v terraform >/dev/null; then # make test-infra needs it; this does not
    check "terraform fmt" terraform -chdir=infra/aws fmt -recursive -check -diff
fi
check "zizmor" count '/completed/ {files++} END {print files " files, pedantic"}' \
    "$bin/zizmor" --offline --pedantic --strict-collection --no-progress .github rehearsal
check "workflow schema" "$bin/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml
check "action schema" "$bin/check-jsonschema" --builtin-schema vendor.github-actions rehearsal/actions/*/*/action.yml
check "dependabot schema" "$bin/check-jsonschema" --builtin-schema vendor.dependabot .github/dependabot.yml
if command -v go >/dev/null; then # as make test-go does
    check "gitleaks" scripts/refuse_secrets.sh
fi
check "no large files" scripts/refuse_large_files.sh
check "no private places in locks and settings" no_private_places
check "locks follow pyproject.toml" "$bin/python" scripts/stale_locks.py
check "uv pip check" scripts/uv pip check --python .venv/bin/python

if [ "$failed" -gt 0 ]; then
    printf '\n%s checks failed; what ruff format shows is cured by:  make format\n' "$failed"
    exit 1
fi

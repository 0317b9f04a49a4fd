#!/usr/bin/env bash
# Runs everything that checks this program, one closing line each; needs Go, and no other installation.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
# A number of inputs and no time: where time runs out on a busy computer, Go 1.26 may call that a failure (golang/go#75804).
inputs=50000x
failed=0

check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf '✓ %s\n' "$name"
    else
        printf '✗ %s\n' "$name"
        printf '%s\n' "$output" | sed 's/^/    /'
        failed=$((failed + 1))
    fi
}

formatted() {
    local unformatted
    unformatted=$(gofmt -l .) || return 1
    [ -z "$unformatted" ] || { echo "gofmt -w . formats:" && echo "$unformatted" && return 1; }
}

# The race detector is written in C: it needs cgo and a C compiler.
has_c_compiler() {
    [ "$(go env CGO_ENABLED)" = 1 ] && command -v "$(go env CC | cut -d ' ' -f 1)" >/dev/null
}

if ! command -v go >/dev/null; then
    echo "✗ Go is not installed; this needs 1.26 or newer: https://go.dev/dl"
    exit 1
fi

check "gofmt" formatted
check "go vet" go vet ./...
check "staticcheck" go run "$staticcheck" ./...
if has_c_compiler; then
    check "go test -race" go test -race -count=1 ./...
else
    check "go test (without -race: no C compiler here)" go test -count=1 ./...
fi
for target in FuzzParseAnswer FuzzParseHouses; do
    check "$target for $inputs" go test -run '^$' -fuzz "^$target\$" -fuzztime "$inputs" .
done

[ "$failed" -eq 0 ] || { printf '\n%s checks failed\n' "$failed" && exit 1; }

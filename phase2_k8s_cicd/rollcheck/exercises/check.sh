#!/usr/bin/env bash
# Proves on a scratch copy that each exercise's tests fail before its solution and pass after it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
tool=phase2_k8s_cicd/rollcheck
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

for solution in "$tool"/exercises/*.patch; do
    number=$(basename "$solution" | cut -c 1)
    copy=$scratch/$number
    mkdir -p "$copy/phase2_k8s_cicd"
    cp -R "$tool" "$copy/phase2_k8s_cicd/"

    before=$(cd "$copy/$tool" && go test -tags "exercise$number" -run "TestExercise$number" . 2>&1) && solved=1 || solved=0
    if [ "$solved" -eq 1 ] && [ -z "${CI:-}" ]; then
        printf '✓ exercise %s: you have solved it here\n' "$number"
        continue
    fi
    if [ "$solved" -eq 1 ] || ! grep -q "^--- FAIL: TestExercise$number" <<<"$before"; then
        printf '✗ exercise %s: its tests should run and fail before the solution\n%s\n' "$number" "$before"
        failed=1
        continue
    fi

    if after=$(cd "$copy" && git apply "$PWD/$tool/exercises/$(basename "$solution")" 2>&1 &&
        cd "$tool" && [ -z "$(gofmt -l .)" ] && go vet -tags "exercise$number" ./... && go test -tags "exercise$number" ./... 2>&1); then
        printf '✓ exercise %s: ✗ before its solution, ✓ after\n' "$number"
    else
        printf '✗ exercise %s: its solution does not pass\n%s\n' "$number" "$after"
        failed=1
    fi
done
exit "$failed"

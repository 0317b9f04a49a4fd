#!/usr/bin/env bash
# Fails if gitleaks finds a secret in a commit of any branch, or in what git would commit next; needs Go.
# A shallow clone has only the commits that it fetched: no others are looked at there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
gitleaks=(go run github.com/zricethezav/gitleaks/v8@v8.30.1 --config "$PWD/.gitleaks.toml" --no-banner --no-color --redact --verbose)
next=$(mktemp -d)
trap 'rm -r "$next"' EXIT

# A copy, for gitleaks would also read what git ignores; a file that was deleted has no place in it.
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' name; do
        if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\0' "$name"; fi
    done |
    tar --null -cf - -T - | tar -xf - -C "$next"

said=$(
    failed=0
    "${gitleaks[@]}" git . 2>&1 || failed=1
    (cd "$next" && "${gitleaks[@]}" dir .) 2>&1 || failed=1
    exit $failed
) || { printf '%s\n' "$said" && exit 1; }
commits=$(sed -n 's/.* \([0-9]*\) commits scanned.*/\1/p' <<<"$said")
echo "$commits commits and $(find "$next" -type f | wc -l | tr -d ' ') files, no secret"

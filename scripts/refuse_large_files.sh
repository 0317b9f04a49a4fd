#!/usr/bin/env bash
# Refuses files over 1 MiB outside data/: git never forgets one. Looks at the files given, or at all that git knows.
set -euo pipefail

if [ $# -eq 0 ]; then
    cd "$(dirname "${BASH_SOURCE[0]}")/.."
    git ls-files -z --cached --others --exclude-standard | xargs -0 scripts/refuse_large_files.sh
    exit
fi

status=0
for file in "$@"; do
    case $file in data/*) continue ;; esac
    if [ -f "$file" ] && [ "$(wc -c <"$file")" -gt 1048576 ]; then
        echo "$file is over 1 MiB: keep it out of git, or put it into data/ with its card"
        status=1
    fi
done
exit $status

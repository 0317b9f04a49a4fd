#!/usr/bin/env bash
# Prints the help page of the Makefiles it is given: a section for each `##@ title`, a line for each `target: ## text`.
set -euo pipefail

bold='' colour='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
    bold=$'\033[1m' colour=$'\033[36m' dim=$'\033[2m' plain=$'\033[0m'
fi

printf '\n%sHouse prices, from a model to a system that looks after itself%s\n' "$bold" "$plain"
awk -F ':.*## ' -v bold="$bold" -v colour="$colour" -v plain="$plain" '
    /^##@ / { printf "\n%s%s%s\n", bold, substr($0, 5), plain }
    /^[a-z0-9-]+:.*## / { printf "  %s%-18s%s  %s\n", colour, $1, plain, $2 }
' "$@"
printf '\n%sFirst time?  make doctor && make demo%s\n\n' "$dim" "$plain"

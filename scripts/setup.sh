#!/usr/bin/env bash
# Installs a phase, the rehearsal or `dev` (the tools that check and test) into .venv, exactly as its locks say; or a
# program that cannot share it, such as a server of Spark, into an environment of its own. Killed half way? Run it
# again: an environment whose last installation did not finish is rebuilt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$(pwd -P)

what=${1:?usage: scripts/setup.sh FOLDER | dev [ENVIRONMENT]}
venv=${2:-.venv}
python=$venv/bin/python
pythons=$(sed -n 's/^requires-python = "\(.*\)"/\1/p' phase1_docker_api/pyproject.toml)
started=$SECONDS

# Whole means: finished, made for this place and these Pythons, and with an interpreter that still exists.
made_for=$(printf '%s\n%s' "$pythons" "$root")
venv_is_whole() {
    [ ! -e "$venv/.unfinished" ] && [ "$(cat "$venv/.made-for" 2>/dev/null)" = "$made_for" ] && "$python" -c '' 2>/dev/null
}

create_venv() {
    echo "• $venv: Python $pythons (one you have, else uv downloads one)"
    scripts/uv venv --quiet --clear --no-project --prompt house --python "$pythons" "$venv"
    echo "  $("$python" --version) from $("$python" -c 'import sys; print(sys.base_prefix)')"
}

install() {
    local lock arguments=()
    for lock in "$@"; do
        arguments+=(--requirements "$lock")
    done
    echo "• $*"
    scripts/uv pip install --quiet --python "$python" --compile-bytecode --require-hashes "${arguments[@]}"
}

if ! venv_is_whole; then
    create_venv
fi
touch "$venv/.unfinished"
printf '%s\n' "$made_for" >"$venv/.made-for"
if [ "$what" = dev ]; then
    install locks/dev.txt
else
    if compgen -G "$what/requirements*.txt" >/dev/null; then
        install "$what"/requirements*.txt
    fi
    if [ -d "$what/src" ]; then
        echo "• $what itself, editable"
        scripts/uv pip install --quiet --python "$python" --no-deps --editable "$what"
    fi
fi
rm "$venv/.unfinished"
touch "$venv/.installed-${what##*/}"
echo "✓ $what is installed ($((SECONDS - started)) s)"

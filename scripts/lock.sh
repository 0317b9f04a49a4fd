#!/usr/bin/env bash
# Pins every dependency with its hashes; a lock is constrained by the ones before it, so that versions agree everywhere.
# Versions already locked stay as they are: UPGRADE=1 moves them to the newest allowed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {
    echo "  $1"
    # One version for all Pythons and platforms: a bug seen on one laptop is then seen on every laptop.
    scripts/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-header ${UPGRADE:+--upgrade} "${@:2}" --output-file "$1"
    printf '# Made by make lock from pyproject.toml; do not edit.\n%s\n' "$(cat "$1")" >"$1.new"
    mv "$1.new" "$1"
}

phase1=phase1_docker_api
compile $phase1/requirements.txt $phase1/pyproject.toml
compile $phase1/requirements-train.txt $phase1/pyproject.toml --extra train --constraints $phase1/requirements.txt
phase2=phase2_k8s_cicd
own=(--no-emit-package phase1-docker-api)
compile $phase2/requirements.txt $phase2/pyproject.toml "${own[@]}" --constraints $phase1/requirements-train.txt
compile $phase2/requirements-local.txt $phase2/pyproject.toml "${own[@]}" --extra local --constraints $phase2/requirements.txt
compile locks/uv.txt --group uv
compile locks/checkov.txt --group checkov
compile locks/infra.txt --group infra
compile locks/act.txt --group act
phase3=phase3_mlops_core
own+=(--no-emit-package phase2-k8s-cicd)
compile $phase3/requirements.txt $phase3/pyproject.toml "${own[@]}" --constraints $phase2/requirements-local.txt
compile $phase3/requirements-pipeline.txt $phase3/pyproject.toml "${own[@]}" --extra pipeline --constraints $phase3/requirements.txt
# Apart, because pyspark and pyspark-client install the same package.
compile $phase3/spark_server/requirements.txt $phase3/spark_server/pyproject.toml
# The tools share the environment of all phases.
compile locks/dev.txt --group dev --constraints $phase3/requirements-pipeline.txt
# Apart, because Airflow and KServe cannot share an environment.
compile $phase3/orchestration/requirements.txt $phase3/orchestration/pyproject.toml

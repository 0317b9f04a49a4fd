#!/usr/bin/env bash
# Renders the kustomization in a folder with what there is: kubectl, kustomize, or Go, which builds it first (2 minutes, once).
set -euo pipefail
pinned=v5.7.1 # the one inside kubectl 1.34

folder=${1:?usage: scripts/kustomize.sh FOLDER}
if command -v kubectl >/dev/null; then
    exec kubectl kustomize "$folder"
elif command -v kustomize >/dev/null; then
    exec kustomize build "$folder"
elif command -v go >/dev/null; then
    exec go run "sigs.k8s.io/kustomize/kustomize/v5@$pinned" build "$folder"
fi
echo "✗ rendering needs kubectl, kustomize or Go:  https://kubernetes.io/docs/tasks/tools  |  brew install kubectl" >&2
exit 1

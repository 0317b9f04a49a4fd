#!/usr/bin/env bash
# Renders every overlay as it is rolled out, and holds it against Kubernetes' schemas and checkov's rules.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kubernetes=1.34 # as in infra/local/kind.yaml
rendered=$(mktemp -d)
trap 'rm -r "$rendered"' EXIT

# From a registry an image is taken by its digest, which is what checkov asks for; only this one is made up.
digest=sha256:$(printf '%064d' 0)

for overlay in phase*/k8s/overlays/*/; do
    name=$(tr / - <<<"${overlay%/}")
    scripts/kustomize.sh "$overlay" | sed "s/\(image: [a-z-]*\):unset$/\1@$digest/" >"$rendered/$name.yaml"
done
.venv/bin/kubernetes-validate --strict --quiet --no-warn --kubernetes-version "$kubernetes" \
    "$rendered"/*.yaml infra/local/metrics-server.yaml infra/local/gateway.yaml
scripts/checkov.sh --framework kubernetes --directory "$rendered"

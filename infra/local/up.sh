#!/usr/bin/env bash
# Makes the kind cluster `house` if it is not there, and adds what a bare one lacks; what is there already stays as it is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
gateway_api=v1.5.1 # what traefik 3.7 speaks; gateway-crds.sha256 belongs to it
crds=.tools/gateway-api-$gateway_api

need() {
    if ! command -v "$1" >/dev/null; then
        echo "✗ $1 is missing:  $2" >&2
        exit 1
    fi
}

on_house() {
    kubectl --context kind-house "$@"
}

sums_agree() {
    if command -v sha256sum >/dev/null; then
        sha256sum -c "$1" >/dev/null 2>&1
    else
        shasum -a 256 -c "$1" >/dev/null 2>&1
    fi
}

fetch_crds() {
    local sums=$PWD/infra/local/gateway-crds.sha256 file
    mkdir -p "$crds"
    if ! (cd "$crds" && sums_agree "$sums"); then
        while read -r _ file; do
            curl --fail --silent --show-error --location --retry 3 --output "$crds/$file" \
                "https://raw.githubusercontent.com/kubernetes-sigs/gateway-api/$gateway_api/config/crd/standard/$file"
        done <"$sums"
    fi
    if ! (cd "$crds" && sums_agree "$sums"); then
        echo "✗ what was downloaded for the Gateway API is not what infra/local/gateway-crds.sha256 expects: see $crds" >&2
        exit 1
    fi
}

need docker "https://docs.docker.com/engine/install  |  brew install --cask docker"
need kind "go install sigs.k8s.io/kind@v0.33.0  |  brew install kind"
need kubectl "https://kubernetes.io/docs/tasks/tools  |  brew install kubectl"
if ! docker info >/dev/null 2>&1; then
    echo "✗ docker does not answer: start it (sudo systemctl start docker, or open Docker Desktop)" >&2
    exit 1
fi

if grep -qx house <<<"$(kind get clusters 2>/dev/null)"; then
    echo "• cluster house: is there"
    docker start house-control-plane >/dev/null # it may sleep since this computer was off
else
    echo "• cluster house: made now (the first time downloads 1 GB)"
    kind create cluster --config infra/local/kind.yaml
fi
on_house wait --for=condition=Ready node --all --timeout=180s >/dev/null
# The overlay prod spreads its pods over zones, and takes no node without one.
zone=topology.kubernetes.io/zone
on_house label node --selector "!$zone" "$zone=here" >/dev/null

if on_house get apiservice v1beta1.metrics.k8s.io >/dev/null 2>&1; then
    echo "• metrics: are there"
else
    echo "• metrics: metrics-server, so that kubectl top and the autoscaler have something to read"
    on_house apply -f infra/local/metrics-server.yaml >/dev/null
fi

echo "• gateway: Gateway API $gateway_api and traefik"
fetch_crds
on_house apply --server-side -f "$crds" >/dev/null
on_house wait --for=condition=Established -f "$crds" --timeout=60s >/dev/null
on_house apply -f infra/local/gateway.yaml >/dev/null

on_house -n kube-system rollout status deployment/metrics-server --timeout=180s >/dev/null
on_house -n gateway rollout status deployment/traefik --timeout=180s >/dev/null
echo "✓ cluster house is ready, kubectl's context is kind-house; what has a route is at http://127.0.0.1:8088"

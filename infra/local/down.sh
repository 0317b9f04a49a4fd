#!/usr/bin/env bash
# Deletes the kind cluster `house` with all that is in it; other clusters stay.
set -euo pipefail

if ! command -v kind >/dev/null || ! grep -qx house <<<"$(kind get clusters 2>/dev/null)"; then
    echo "✓ there is no cluster house"
    exit 0
fi
kind delete cluster --name house
echo "✓ cluster house is deleted"

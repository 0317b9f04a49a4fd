"""What is rolled out: its names, its image and its manifests, as one frozen value; a later phase states another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from phase2_k8s_cicd.tools import ROOT


@dataclass(frozen=True)
class Workload:
    """One service in a cluster.

    `name` is that of its Deployment, Service and whatever else bears it. `image` is what its manifests call the image,
    and the repository that versions are tagged in. `manifests` holds the folders `overlays` and `components`, and
    `namespaces` names the namespace of each overlay. The Lease `lease` lets one rollout at a time into a namespace.
    """

    name: str
    image: str
    manifests: Path
    namespaces: Mapping[str, str]
    lease: str
    component: str = "api"

    @property
    def candidate(self) -> str:
        """The name of everything that the component `candidate` makes."""
        return f"{self.name}-candidate"

    @property
    def url(self) -> str:
        """Where callers inside the cluster reach it."""
        return f"http://{self.name}"

    @property
    def history(self) -> str:
        """The ConfigMap that keeps who deployed what."""
        return f"{self.name}-deployments"

    @property
    def quota(self) -> str:
        """The quota with which a lab keeps every new pod away; a lab that was killed may have left it."""
        return f"{self.name}-full"


HOUSE_PRICE_API = Workload(
    name="house-price-api",
    image="house-price-service",
    manifests=ROOT / "phase2_k8s_cicd" / "k8s",
    namespaces=MappingProxyType({"local": "house-price", "dev": "house-price-dev", "prod": "house-price-prod"}),
    lease="house-price-rollout",
)

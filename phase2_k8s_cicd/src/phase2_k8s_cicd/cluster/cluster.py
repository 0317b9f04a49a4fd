"""The cluster that a command speaks to: which one it is, and what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API, Workload
from phase2_k8s_cicd.errors import ClusterError, MissingToolError, ToolError
from phase2_k8s_cicd.tools import run

# A cluster of one's own machine: what goes wrong there hurts nobody else.
LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "kubernetes.docker.internal"}  # noqa: S104 - compared only
LOCAL_CONTEXTS = re.compile(r"kind-.+|k3d-.+|minikube|docker-desktop|rancher-desktop|orbstack|colima(-.+)?")
Object = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    """One kube context, and in it the namespace of one overlay of a workload."""

    context: str
    server: str
    overlay: str
    workload: Workload = HOUSE_PRICE_API

    @property
    def namespace(self) -> str:
        """The namespace that the overlay fills."""
        return self.workload.namespaces[self.overlay]

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine."""
        return urlsplit(self.server).hostname in LOCAL_HOSTS or bool(LOCAL_CONTEXTS.fullmatch(self.context))

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Run kubectl in this context and namespace.

        Raises:
            ToolError: kubectl is missing or refused; its words are in the message.

        """
        return run(self.command(*arguments), stdin, timeout_s)

    def command(self, *arguments: str) -> list[str]:
        """Give the command line that `kubectl` runs."""
        return ["kubectl", f"--context={self.context}", f"--namespace={self.namespace}", *arguments]

    def get(self, kind: str, name: str) -> Object | None:
        """Read one object, or None when there is no such."""
        found = self.kubectl("get", kind, name, "--ignore-not-found", "--output=json")
        return json.loads(found) if found.strip() else None

    def pods(self, selector: str) -> list[Object]:
        """Read the pods with these labels."""
        found = self.kubectl("get", "pods", f"--selector={selector}", "--output=json")
        items: list[Object] = json.loads(found)["items"]
        return items

    def apply(self, manifests: str) -> None:
        """Make the cluster as the manifests say."""
        self.kubectl("apply", "--filename=-", stdin=manifests)

    def create(self, manifest: Object) -> None:
        """Create one object, which must not exist yet."""
        self.kubectl("create", "--filename=-", stdin=json.dumps(manifest))

    def delete(self, *arguments: str) -> None:
        """Delete objects, if they exist, and wait until they are gone."""
        self.kubectl("delete", *arguments, "--ignore-not-found", "--wait=true")

    def serving(self) -> str | None:
        """Name the image that the Deployment asks for, or None when nothing is deployed."""
        deployment = self.get("deployment", self.workload.name)
        return image_of(deployment) if deployment else None

    def images(self) -> set[str]:
        """Name the images that every node has already."""
        nodes = json.loads(run(["kubectl", f"--context={self.context}", "get", "nodes", "--output=json"]))["items"]
        have = [{name for image in node["status"].get("images", []) for name in image["names"] or ()} for node in nodes]
        return set.intersection(*have) if have else set()


def current_cluster(overlay: str, context: str | None = None, workload: Workload = HOUSE_PRICE_API) -> Cluster:
    """Find the cluster that kubectl speaks to.

    Raises:
        ClusterError: there is none, or it does not answer.

    """
    if overlay not in workload.namespaces:
        raise ClusterError(f"OVERLAY={overlay}: choose one of {', '.join(workload.namespaces)}")
    chosen = [f"--context={context}"] if context else []
    try:
        config = json.loads(run(["kubectl", *chosen, "config", "view", "--minify", "--output=json"]))
    except MissingToolError:
        raise
    except ToolError:
        config = {}
    if not config.get("clusters"):
        known = f"no context {context}" if context else "no cluster"
        raise ClusterError(
            f"kubectl knows {known}; make one on this machine:  make cluster-up   (or do without:  "
            "make phase2-up RUNTIME=process)"
        )
    cluster = Cluster(context or config["current-context"], _server(config), overlay, workload)
    try:
        run(["kubectl", f"--context={cluster.context}", "get", "--raw=/readyz", "--request-timeout=10s"])
    except ToolError as error:
        raise ClusterError(
            f"the cluster of context {cluster.context} ({cluster.server}) does not answer: start it, choose another "
            f"with CONTEXT=…, or make one:  make cluster-up\n{error}"
        ) from error
    return cluster


def _server(config: Mapping[str, Any]) -> str:
    server: str = config["clusters"][0]["cluster"]["server"]
    return server


def image_of(deployment: Object) -> str:
    """Name the image of a Deployment's or ReplicaSet's one container."""
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def version_of(image: str) -> str:
    """Name the version, which is the image's tag; a digest may follow it."""
    return image.partition("@")[0].rpartition(":")[2]


def render(overlay: str, image: str, *components: str, workload: Workload = HOUSE_PRICE_API) -> str:
    """Render an overlay with this image, NAME:TAG or NAME:TAG@DIGEST; the folder itself stays as git has it.

    Raises:
        ToolError: kubectl is missing, or the manifests are wrong.

    """
    tagged, _, digest = image.partition("@")
    name, _, tag = tagged.rpartition(":")
    chosen = {"newName": name, "newTag": tag} | ({"digest": digest} if digest else {})
    with TemporaryDirectory(prefix=".rendering-", dir=workload.manifests) as folder:  # kustomize wants relative paths
        lines = {
            "resources": [f"../overlays/{overlay}"],
            "namespace": workload.namespaces[overlay],  # a component's objects come after the overlay has named its own
            "components": [f"../components/{component}" for component in components],
            "images": [{"name": workload.image, **chosen}],
        }
        # JSON is YAML too.
        (Path(folder) / "kustomization.yaml").write_text(json.dumps(lines))
        return run(["kubectl", "kustomize", folder])

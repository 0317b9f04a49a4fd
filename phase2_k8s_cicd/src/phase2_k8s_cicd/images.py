"""Build each version's image once, and bring it to where the cluster finds it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from phase2_k8s_cicd.cluster import Cluster
from phase2_k8s_cicd.errors import ClusterError, Phase2Error, ToolError
from phase2_k8s_cicd.rollout import Say
from phase2_k8s_cicd.tools import ROOT, run, show, succeeds

SERVICE = "house-price-service"
ROLLCHECK = ROOT / "phase2_k8s_cicd" / "rollcheck"
# A tag; also what HOUSE_SERVICE_VERSION allows.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def build_service(version: str, registry: str, say: Say) -> str:
    """Build the image of a version, unless there is one already: a tag never changes its meaning.

    Raises:
        Phase2Error: the version cannot be a tag.
        ToolError: docker is missing, or the build failed.

    """
    require_version(version)
    image = f"{registry}/{SERVICE}:{version}" if registry else f"{SERVICE}:{version}"
    if _is_there(image, registry, say):
        return image
    say(f"building {image}; the first time takes some minutes …")
    show(_build("phase1_docker_api/Dockerfile", "house-price-api"))
    show(_build("phase2_k8s_cicd/Dockerfile", image, f"--build-arg=VERSION={version}"))
    return image


def _is_there(image: str, registry: str, say: Say) -> bool:
    """Say whether there is such an image; what a registry has under this name comes before what this machine has."""
    if registry and succeeds(["docker", "pull", "--quiet", image]):
        say(f"{image} is in the registry")
        return True
    if succeeds(["docker", "image", "inspect", image]):
        say(f"{image} was built before")
        return True
    return False


def require_version(version: str) -> None:
    """Refuse what cannot be the name of one version for good.

    Raises:
        Phase2Error: it cannot be an image's tag, or is one that moves.

    """
    if not VERSION.fullmatch(version) or version == "latest":
        raise Phase2Error(
            f"VERSION={version}: use up to 63 letters, digits, dots, dashes and underscores, and not `latest`"
        )


def build_rollcheck(registry: str, say: Say) -> str:
    """Build the image of rollcheck; its tag is a digest of its source, so an old one is never mistaken for it."""
    sources = [path for path in sorted(ROLLCHECK.iterdir()) if path.suffix in (".go", ".mod", ".json", "")]
    sources = [path for path in sources if path.is_file() and not path.name.endswith("_test.go")]
    digest = hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()
    image = f"{registry}/rollcheck:{digest[:12]}" if registry else f"rollcheck:{digest[:12]}"
    if not _is_there(image, registry, say):
        say(f"building {image} …")
        run(["docker", "build", "--quiet", f"--tag={image}", str(ROLLCHECK)])
    return image


def _build(dockerfile: str, tag: str, *arguments: str) -> list[str]:
    os.environ.setdefault("DOCKER_BUILDKIT", "1")
    return ["docker", "build", f"--file={dockerfile}", f"--tag={tag}", *arguments, "."]


def push(image: str, registry: str, say: Say) -> str:
    """Bring an image to its registry, unless it is there, and give its name with the digest that it has there.

    A tag that must not change its meaning is never pushed twice: registries with immutable tags refuse that.

    Raises:
        ToolError: docker is missing, or the registry does not take the image.

    """
    if not succeeds(["docker", "pull", "--quiet", image]):
        say(f"pushing {image} …")
        run(["docker", "push", "--quiet", image])
    names = json.loads(run(["docker", "image", "inspect", "--format={{json .RepoDigests}}", image]))
    repository = image.rpartition(":")[0]
    digest = next((name.partition("@")[2] for name in names if name.startswith(f"{repository}@")), None)
    if digest is None:
        raise ToolError(f"{registry} took {image}, but docker knows no digest of it; try again")
    return f"{image}@{digest}"


def bring(image: str, cluster: Cluster, environ: Mapping[str, str], say: Say) -> str:
    """Bring an image to the cluster's nodes, or to the registry that they pull from; give the name to ask it by.

    Raises:
        ClusterError: nobody said how this cluster gets its images.
        ToolError: the program that brings it failed.

    """
    if registry := environ.get("REGISTRY"):
        return push(image, registry, say)
    if command := way_to(image, cluster, environ):
        say(f"bringing {image} to {cluster.context} …")
        run(command)
    return image


def way_to(image: str, cluster: Cluster, environ: Mapping[str, str]) -> list[str] | None:
    """Give the command that brings an image to the nodes of a cluster, or None when it is there already.

    Raises:
        ClusterError: nobody said how this cluster gets its images.

    """
    full = image if "/" in image else f"docker.io/library/{image}"
    if full in cluster.images():
        return None
    if environ.get("LOAD_IMAGE"):
        return [*shlex.split(environ["LOAD_IMAGE"]), image]
    context = cluster.context
    if context.startswith("kind-"):
        return ["kind", "load", "docker-image", image, f"--name={context.removeprefix('kind-')}"]
    if context.startswith("k3d-"):
        return ["k3d", "image", "import", image, f"--cluster={context.removeprefix('k3d-')}"]
    if context == "minikube":
        return ["minikube", "image", "load", image]
    if context in ("docker-desktop", "rancher-desktop", "orbstack"):
        return None  # it shares Docker's own images
    raise ClusterError(
        f"how does the cluster of context {context} get images? Say REGISTRY=host/name to push them there, or "
        "LOAD_IMAGE='command' for one that takes an image's name"
    )


def extract_model(image: str, target: Path) -> Path:
    """Copy the model out of an image, so that it can be asked without the image's code.

    Raises:
        ToolError: docker is missing, or the image holds no model.

    """
    container = run(["docker", "create", image]).strip()
    try:
        run(["docker", "cp", f"{container}:/model", str(target)])
    finally:
        run(["docker", "rm", container])
    return target / "model"

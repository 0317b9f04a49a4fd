"""Build each version's image once, and bring it to where the cluster finds it."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

from phase1_docker_api.errors import CourseError

from phase2_k8s_cicd.cluster.cluster import LOCAL_HOSTS, Cluster
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API, Workload
from phase2_k8s_cicd.errors import ClusterError, MissingToolError, ToolError
from phase2_k8s_cicd.settings import ImageSettings
from phase2_k8s_cicd.tools import ROOT, Say, run, show, succeeds

ROLLCHECK = ROOT / "phase2_k8s_cicd" / "rollcheck"
# A tag; also what HOUSE_SERVICE_VERSION allows.
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# How registries say that they have no such image.
ABSENT = re.compile("not found|manifest unknown|does not exist|no such", re.IGNORECASE)


def build_service(version: str, registry: str, say: Say) -> str:
    """Build the image of a version, unless there is one already: a tag never changes its meaning.

    Raises:
        CourseError: the version cannot be a tag.
        ToolError: docker is missing, or the build failed.

    """
    image = service_image(version, registry)
    if _is_there(image, registry, say):
        return image
    say(f"building {image}; the first time takes some minutes …")
    for_nodes = _platform(registry)
    show(_build("phase1_docker_api/Dockerfile", "house-price-api", *for_nodes))
    show(_build("phase2_k8s_cicd/Dockerfile", image, f"--build-arg=VERSION={version}", *for_nodes))
    return image


def service_image(version: str, registry: str, workload: Workload = HOUSE_PRICE_API) -> str:
    """Name the image of a version of a workload.

    Raises:
        CourseError: the version cannot be a tag.

    """
    require_version(version)
    name = f"{workload.image}:{version}"
    return f"{registry}/{name}" if registry else name


def fetch(image: str, reference: str) -> str:
    """Take the very image that a pipeline has looked into, REPOSITORY@DIGEST, under the name of its version.

    Raises:
        CourseError: the reference is another repository's, or has no digest.
        ToolError: docker is missing, or the registry has no such image.

    """
    repository, _, digest = reference.partition("@")
    if repository != image.rpartition(":")[0] or not DIGEST.fullmatch(digest):
        raise CourseError(f"REFERENCE={reference}: give {image.rpartition(':')[0]}@sha256:…, as make image-push does")
    run(["docker", "pull", "--quiet", reference])
    return f"{image}@{digest}"


def _is_there(image: str, registry: str, say: Say) -> bool:
    """Say whether there is such an image; what a registry has under this name comes before what this machine has."""
    if registry and succeeds(["docker", "pull", "--quiet", image], timeout_s=1800):  # on a slow line it takes long
        say(f"{image} is in the registry")
        return True
    if succeeds(["docker", "image", "inspect", image]):
        say(f"{image} was built before, and is taken as it is; code that changed since needs another VERSION")
        return True
    return False


def require_version(version: str) -> None:
    """Refuse what cannot be the name of one version for good.

    Raises:
        CourseError: it cannot be an image's tag, or is one that moves.

    """
    if not VERSION.fullmatch(version) or version == "latest":
        raise CourseError(
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
        run(["docker", "build", "--quiet", f"--tag={image}", *_platform(registry), str(ROLLCHECK)])
    return image


def _platform(registry: str) -> list[str]:
    """Build for the nodes of infra/aws, whatever this computer's processor is, unless the registry is on it."""
    host = registry.partition("/")[0].partition(":")[0]
    return [] if host in ("", *LOCAL_HOSTS) else ["--platform=linux/amd64"]


def _build(dockerfile: str, tag: str, *arguments: str) -> list[str]:
    return ["docker", "build", f"--file={dockerfile}", f"--tag={tag}", *arguments, "."]


def push(image: str, registry: str, say: Say) -> str:
    """Bring an image to its registry, unless it is there, and give its name with the digest that it has there.

    A tag that must not change its meaning is never pushed twice: registries with immutable tags refuse that.

    Raises:
        ToolError: docker is missing, or the registry does not take the image, or holds another one under this name.

    """
    built = _id_of(image)
    if not _registry_has(image):
        say(f"pushing {image} …")
        run(["docker", "push", "--quiet", image])
    elif _id_of(image) != built:
        raise ToolError(
            f"the registry holds another image as {image} than the one that was built and looked into here, and a "
            "version never changes its meaning: make a new commit, or choose another VERSION"
        )
    names = json.loads(run(["docker", "image", "inspect", "--format={{json .RepoDigests}}", image]))
    repository = image.rpartition(":")[0]
    digest = next((name.partition("@")[2] for name in names if name.startswith(f"{repository}@")), None)
    if digest is None:
        raise ToolError(f"{registry} took {image}, but docker knows no digest of it; try again")
    return f"{image}@{digest}"


def _registry_has(image: str) -> bool:
    """Pull an image; say that there is none only when the registry says so, and not when it cannot be asked."""
    try:
        run(["docker", "pull", "--quiet", image])
    except MissingToolError:
        raise
    except ToolError as error:
        if not ABSENT.search(str(error)):
            raise
        return False
    return True


def _id_of(image: str) -> str:
    return run(["docker", "image", "inspect", "--format={{.Id}}", image]).strip()


def bring(image: str, cluster: Cluster, settings: ImageSettings, say: Say) -> str:
    """Bring an image to the cluster's nodes, or to the registry that they pull from; give the name to ask it by.

    Raises:
        ClusterError: nobody said how this cluster gets its images.
        ToolError: the program that brings it failed.

    """
    if settings.registry:
        return push(image, settings.registry, say)
    if command := way_to(image, cluster, settings):
        say(f"bringing {image} to {cluster.context} …")
        run(command)
    return image


def way_to(image: str, cluster: Cluster, settings: ImageSettings) -> list[str] | None:
    """Give the command that brings an image to the nodes of a cluster, or None when it is there already.

    Raises:
        ClusterError: nobody said how this cluster gets its images.

    """
    full = image if "/" in image else f"docker.io/library/{image}"
    if full in cluster.images():
        return None
    if settings.load_image:
        return [*shlex.split(settings.load_image), image]
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

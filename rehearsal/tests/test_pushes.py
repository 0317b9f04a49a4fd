"""Pushes that are good, and bad in each way; whoever asks meanwhile notices nothing.

`make test-rehearsal` runs it in a clone of its own, on the cluster of kubectl, in namespaces house-price-dev and -prod.
The tests that the pipeline runs are cut down to one file, by PYTEST_ADDOPTS; all else is as a learner has it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from phase1_docker_api.service.launch import free_port
from phase2_k8s_cicd.cluster.cluster import Cluster, current_cluster, version_of
from phase2_k8s_cicd.cluster.images import bring, build_rollcheck, extract_model
from phase2_k8s_cicd.cluster.workload import HOUSE_PRICE_API
from phase2_k8s_cicd.rollout.history import read
from phase2_k8s_cicd.rollout.probe import Question
from phase2_k8s_cicd.rollout.probe_pods import watching
from phase2_k8s_cicd.rollout.reference_houses import expectations, fixed_houses
from phase2_k8s_cicd.settings import ImageSettings
from phase2_k8s_cicd.tools import ROOT

APP, LEASE = HOUSE_PRICE_API.name, HOUSE_PRICE_API.lease
pytestmark = pytest.mark.rehearsal

RATE = 50
FIGURES = ROOT / "reports" / "test-rehearsal.txt"
TESTS = "phase2_k8s_cicd/tests/delivery/test_pipeline.py"
LEARNER = {f"GIT_{who}_{what}": "learner" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
FAULTY = (ROOT / "phase2_k8s_cicd" / "tests" / "rollout" / "faulty" / "faulty.py").read_text()
ZONE = "topology.kubernetes.io/zone"
ROUTES = "httproutes.gateway.networking.k8s.io"
# Enough of the Gateway API to take a route; nothing serves it.
KNOWS_ROUTES = f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: {ROUTES}
  annotations: {{api-approved.kubernetes.io: "unapproved, for a test alone"}}
spec:
  group: gateway.networking.k8s.io
  names: {{kind: HTTPRoute, plural: httproutes}}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {{openAPIV3Schema: {{type: object, x-kubernetes-preserve-unknown-fields: true}}}}
"""
MATRIX = """
name: matrix
on: push
permissions: {{}}
jobs:
  one:
    strategy:
      matrix: {{os: [ubuntu-24.04, macos-15], part: [a, b]}}
    runs-on: ${{{{ matrix.os }}}}
    steps:
      - run: echo "${{{{ matrix.os }}}} begins" >>"{told}"; sleep 1; echo "${{{{ matrix.os }}}} ends" >>"{told}"
"""
# Right on the laptop of whoever wrote it, and 30 % dearer in the image.
DEARER = 'COPY phase2_k8s_cicd/src/faulty.py /code/\nENV FAULT=wrong\nENTRYPOINT ["python", "-m", "faulty"]\nCMD []\n'


class Course:
    """A clone as a learner has it, with a registry on a port of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        files = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(files, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, root / name)
        if (ROOT / ".tools").is_dir():
            shutil.copytree(ROOT / ".tools", root / ".tools", symlinks=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("begin")

    @property
    def registry(self) -> str:
        return f"127.0.0.1:{self.port}/houses"

    @property
    def environ(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return kept | {"REHEARSAL_REGISTRY_PORT": str(self.port), "PYTEST_ADDOPTS": TESTS, **LEARNER}

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, env=self.environ, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str] | None = None) -> str:
        """Add texts to the ends of files, and commit; give the version."""
        for name, text in (files or {}).items():
            with (self.root / name).open("a") as file:
                file.write(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "--short=12", "HEAD")

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["make", "--no-print-directory", *words],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def push(self, commit: str, *words: str) -> subprocess.Popen[str]:
        return self.start("rehearse-push", f"COMMIT={commit}", *words)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = current_cluster("dev")
    assert cluster.is_local, f"{cluster.context} is not on this machine"
    cluster.delete(f"namespace/{cluster.namespace}")
    yield cluster
    cluster.delete(f"namespace/{cluster.namespace}")


@pytest.fixture(scope="module")
def prod(cluster: Cluster) -> Iterator[Cluster]:
    """Prod on the same cluster, which is lent what one of `make cluster-up` has: a zone, and routes."""
    prod, lent = replace(cluster, overlay="prod"), cluster.get("crd", ROUTES) is None
    prod.delete(f"namespace/{prod.namespace}")
    if lent:
        cluster.apply(KNOWS_ROUTES)
    labelled = cluster.kubectl("label", "node", f"--selector=!{ZONE}", f"{ZONE}=here", "--output=name").split()
    yield prod
    prod.delete(f"namespace/{prod.namespace}")
    for node in labelled:
        cluster.kubectl("label", node, f"{ZONE}-")
    if lent:
        cluster.delete(f"crd/{ROUTES}")


@pytest.fixture(scope="module")
def course(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    """A clone whose first version serves already."""
    course = Course(tmp_path_factory.mktemp("course") / "house prices")
    try:
        first, _ = ended(course.push("HEAD"))
        assert first == 0
        yield course
    finally:
        ended(course.start("rehearse-down"))


@pytest.fixture
def asked(course: Course, cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """Ask for prices all the while, and hold each against what the model gives; nothing may be lost."""
    settings = ImageSettings(registry=course.registry)
    rollcheck = bring(build_rollcheck(course.registry, print), cluster, settings, print)
    with TemporaryDirectory() as folder:
        houses = expectations(fixed_houses(), extract_model(str(cluster.serving()), Path(folder)))
    with watching(
        cluster, rollcheck, Question(f"http://{APP}", RATE, 0, houses), print, name="rollcheck-test"
    ) as watch:
        time.sleep(1)
        say(request.node.name.removeprefix("test_").replace("_", " "))
        yield
        report = watch.end()
    assert report.lost == 0, report.why_lost()
    say(f"    {report.requests:,} requests, {report.lost} lost, answered by {', '.join(report.versions)}")


def ended(started: subprocess.Popen[str], seconds: float = 900) -> tuple[int, str]:
    began = time.monotonic()
    output, _ = started.communicate(timeout=seconds)
    print(output)
    what = " ".join(list(started.args)[2:])  # type: ignore[arg-type]
    say(f"    {what}: {started.returncode} after {time.monotonic() - began:.0f} s")
    return started.returncode, output


def serving(cluster: Cluster) -> str:
    return version_of(str(cluster.serving()))


def say(figure: str) -> None:
    """Keep a figure; `make test-rehearsal` shows them at its end."""
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(f"{figure}\n")


def test_a_good_commit_ends_up_serving(course: Course, cluster: Cluster, asked: None) -> None:
    good = course.commit("good")

    code, output = ended(course.push("HEAD"))

    assert code == 0, output
    assert serving(cluster) == good
    assert f"✓ {good} serves in dev" in output
    assert (read(cluster)[-1].version, read(cluster)[-1].result) == (good, "serving")
    log = re.search(r"all of it: (.+)", output)
    assert log
    assert read(cluster)[-1].run == Path(log[1]).as_uri()


def test_a_commit_whose_tests_fail_is_not_even_built(course: Course, cluster: Cluster, asked: None) -> None:
    before = serving(cluster)
    course.commit("bad", {TESTS: "\n\ndef test_that_fails() -> None:\n    raise AssertionError('not ready yet')\n"})

    code, output = ended(course.push("HEAD"))

    course.git("revert", "--no-edit", "HEAD")
    assert code != 0
    assert serving(cluster) == before
    assert "step 'test: make test' failed" in output
    assert "not ready yet" in output
    assert f"{before} serves in dev" in output
    assert "Build" not in output


def test_a_commit_whose_image_does_not_build_changes_nothing(course: Course, cluster: Cluster, asked: None) -> None:
    before = serving(cluster)
    course.commit("bad", {"phase2_k8s_cicd/Dockerfile": "RUN python -c 'import no_such_module'\n"})

    code, output = ended(course.push("HEAD"))

    course.git("revert", "--no-edit", "HEAD")
    assert code != 0
    assert serving(cluster) == before
    assert "step 'image: Build' failed" in output
    assert "no_such_module" in output
    assert "Push" not in output


def test_a_good_commit_goes_on_to_prod_as_the_same_bits(
    course: Course, cluster: Cluster, prod: Cluster, asked: None
) -> None:
    good = course.commit("good enough for prod")

    code, output = ended(course.push("HEAD", "PROD=1"))

    assert code == 0, output
    assert serving(prod) == good
    assert "@sha256:" in str(prod.serving())
    assert prod.serving() == cluster.serving()
    assert f"{good} serves in prod" in output
    jobs = [line for line in output.splitlines() if re.fullmatch(r"\w+", line)]
    assert jobs == ["test", "image", "dev", "approval", "prod"]
    assert (read(prod)[-1].version, read(prod)[-1].result) == (good, "serving")


def test_a_commit_that_is_wrong_only_in_the_image_is_refused_beside_the_old_version_and_prod_is_not_asked(
    course: Course, cluster: Cluster, prod: Cluster, asked: None
) -> None:
    before, in_prod = serving(cluster), prod.serving()
    files = {"phase2_k8s_cicd/src/faulty.py": FAULTY, "phase2_k8s_cicd/Dockerfile": DEARER}
    wrong = course.commit("dearer", files)

    code, output = ended(course.push("HEAD", "PROD=1"))

    course.git("revert", "--no-edit", "HEAD")
    assert code != 0
    assert serving(cluster) == before
    assert "step 'dev: Roll out' failed" in output
    assert (read(cluster)[-1].version, read(cluster)[-1].result) == (wrong, "refused")
    assert "instead of" in read(cluster)[-1].reason
    assert "approval" not in output
    assert prod.serving() == in_prod


def test_of_two_pushes_within_a_second_the_newer_ends_up_serving(course: Course, cluster: Cluster, asked: None) -> None:
    older, newer = course.commit("older"), course.commit("newer")

    first = course.push(older)
    second = course.push(newer)
    outputs = [ended(each) for each in (first, second)]

    assert [code for code, _ in outputs] == [0, 0], outputs
    assert serving(cluster) == newer
    assert "waits for run" in "".join(output for _, output in outputs)


def test_a_run_that_is_repeated_brings_no_old_version_back(course: Course, cluster: Cluster, asked: None) -> None:
    before = serving(cluster)

    code, output = ended(course.push("HEAD~1", "PROD=1"))

    assert code == 0, output
    assert "once more" in output
    assert "approval" not in output, "nobody is asked about what does not serve in dev"
    assert f"nothing was to be done: {before} serves in dev" in output
    assert serving(cluster) == before


def test_a_rollback_from_what_does_not_serve_any_more_does_nothing(
    course: Course, cluster: Cluster, asked: None
) -> None:
    before = serving(cluster)

    code, output = ended(course.start("rehearse-rollback", "FROM=gone"))

    assert code != 0
    assert f"{before} serves here, and not gone: nothing was done" in output
    assert serving(cluster) == before


def test_a_push_during_a_rollback_comes_after_it(course: Course, cluster: Cluster, asked: None) -> None:
    gone, newest = serving(cluster), course.commit("newest")

    rollback = course.start("rehearse-rollback", "REASON=prices look odd")
    eventually(lambda: cluster.get("lease", LEASE) is not None)
    push = course.push("HEAD")
    outputs = [ended(each) for each in (rollback, push)]

    assert [code for code, _ in outputs] == [0, 0], outputs
    assert serving(cluster) == newest
    back, there = read(cluster)[-2:]
    assert (back.action, back.previous, there.version, there.previous) == ("rollback", gone, newest, back.version)
    assert back.reason.startswith("prices look odd: in place of")


def test_a_push_that_is_stopped_leaves_the_old_version_and_no_trace(
    course: Course, cluster: Cluster, asked: None
) -> None:
    before = serving(cluster)
    course.commit("stopped")

    push = course.push("HEAD")
    eventually(lambda: cluster.pods("app.kubernetes.io/component=candidate") != [])
    os.killpg(push.pid, signal.SIGINT)
    code, output = ended(push)

    assert code != 0
    assert "was stopped" in output
    assert serving(cluster) == before
    assert cluster.get("lease", LEASE) is None
    assert cluster.pods("app.kubernetes.io/component=candidate") == []


def test_after_a_push_was_killed_the_next_waits_for_what_goes_on_and_then_works(
    course: Course, cluster: Cluster, asked: None
) -> None:
    again = course.git("rev-parse", "--short=12", "HEAD")

    push = course.push("HEAD")
    eventually(lambda: cluster.pods("app.kubernetes.io/component=candidate") != [])
    os.killpg(push.pid, signal.SIGKILL)
    push.communicate()
    code, output = ended(course.push("HEAD"))

    assert code == 0, output
    assert "waits for run" in output
    assert serving(cluster) == again
    assert list((course.root / ".run/rehearsal/runs").glob("*/desk")) == [], "what the killed one left"


def test_jobs_of_a_matrix_come_one_after_the_other_and_only_those_for_this_system(
    course: Course, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    course.commit("matrix", {".github/workflows/matrix.yml": MATRIX.format(told=told)})

    code, output = ended(course.start("rehearse-workflow", "WORKFLOW=matrix.yml"))

    course.git("revert", "--no-edit", "HEAD")
    assert code == 0, output
    assert told.read_text().splitlines() == ["ubuntu-24.04 begins", "ubuntu-24.04 ends"] * 2


def test_at_last_the_history_tells_it_all(course: Course, cluster: Cluster) -> None:
    code, output = ended(course.start("deployments", "OVERLAY=dev"))

    say(output)
    assert code == 0
    results = [(each.action, each.result) for each in read(cluster)]
    assert results.count(("rollout", "refused")) >= 2, "the wrong one, and the one that was stopped"
    assert ("rollback", "serving") in results
    assert f"{serving(cluster)}  rollout serving" in output.splitlines()[0]


def eventually(claim: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)

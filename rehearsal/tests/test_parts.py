"""The parts of the rehearsal, without a cluster: where pushes go, whose turn it is, what steps see, where images go."""

from __future__ import annotations

import http.server
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import phase2_k8s_cicd.tools
import pytest
import rehearsal.cli as rehearsal
from click.testing import CliRunner
from phase1_docker_api.errors import CourseError
from phase1_docker_api.service.launch import free_port
from phase2_k8s_cicd.cluster.cluster import Cluster
from rehearsal.origin import Origin
from rehearsal.progress import Progress
from rehearsal.registry import Registry

from rehearsal import act, runs

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """A repository with one commit, in the place of ours."""
    here = tmp_path / "here"
    here.mkdir()
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=here, env=os.environ | names, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    (here / "code").write_text("1\n")
    git("add", "--all")
    git("commit", "--quiet", "-m", "first")
    monkeypatch.setattr(phase2_k8s_cicd.tools, "ROOT", here)
    return git


@pytest.fixture
def origin(git: Git, tmp_path: Path) -> Origin:
    origin = Origin(tmp_path / "origin.git")
    origin.make()
    origin.push(git("rev-parse", "HEAD"))
    return origin


def test_what_main_has_is_not_pushed_again(git: Git, origin: Origin) -> None:
    first = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "-m", "second")

    assert origin.push(git("rev-parse", "HEAD"))
    assert not origin.push(first)
    assert origin.main() == git("rev-parse", "HEAD")


def test_a_push_that_would_drop_commits_of_main_is_refused(git: Git, origin: Origin) -> None:
    git("commit", "--quiet", "--allow-empty", "-m", "second")
    origin.push(git("rev-parse", "HEAD"))
    git("commit", "--quiet", "--amend", "--allow-empty", "-m", "another second")

    with pytest.raises(CourseError, match="does not follow what is there"):
        origin.push(git("rev-parse", "HEAD"))


def test_files_that_are_not_committed_can_be_pushed_and_stay_as_they_are(
    git: Git, origin: Origin, tmp_path: Path
) -> None:
    before = git("rev-parse", "HEAD")
    pushed = []
    for text in ("2\n", "3\n"):
        (tmp_path / "here" / "code").write_text(text)
        pushed.append(origin.commit_files())
        assert origin.push(pushed[-1]), "each follows the one before"

    assert git("show", f"{pushed[1]}:code") == "3"
    assert git("rev-parse", "HEAD") == before
    assert git("status", "--porcelain") == "M code"


def test_an_unknown_commit_is_named(origin: Origin) -> None:
    with pytest.raises(CourseError, match="COMMIT=nonsense: git knows no such commit"):
        origin.commit_of("nonsense")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[runs.Run]:
    with runs.pushing(tmp_path):
        run = runs.join(tmp_path, "deploy of a")
    yield run
    run.held.close()


def test_a_run_waits_for_the_ones_before_it_and_for_what_they_started(run: runs.Run, tmp_path: Path) -> None:
    with runs.pushing(tmp_path):
        second = runs.join(tmp_path, "deploy of b")
    told: list[str] = []
    left = subprocess.Popen(["sleep", "1"], pass_fds=[run.held.fileno()])
    run.held.close()  # as if it was killed

    runs.wait_for_turn(tmp_path, second, told.append)

    second.held.close()
    assert left.poll() is not None
    assert told == ["run 2 waits for run 1: deploy of a"]


def test_no_step_sees_an_account_of_this_computers_user(run: runs.Run, tmp_path: Path) -> None:
    mine = {"PATH": "/bin", "AWS_PROFILE": "mine", "AWS_ACCESS_KEY_ID": "AKIA", "TF_VAR_owner": "me", "REGISTRY": "far"}

    seen = act.environment(
        run, tmp_path, "127.0.0.1:1", mine | {"AWS_ENDPOINT_URL": "http://127.0.0.1:5990", "TERM": "x"}
    )
    far = act.environment(run, tmp_path, "127.0.0.1:1", mine | {"AWS_ENDPOINT_URL": "https://sts.amazonaws.com"})

    assert not {"AWS_PROFILE", "TF_VAR_owner", "REGISTRY"} & seen.keys()
    assert seen["AWS_ACCESS_KEY_ID"] == "rehearsal"
    assert seen["AWS_SHARED_CREDENTIALS_FILE"] == seen["AWS_CONFIG_FILE"] == os.devnull
    assert (seen["AWS_ENDPOINT_URL"], seen["TERM"]) == ("http://127.0.0.1:5990", "x")
    assert "AWS_ENDPOINT_URL" not in far


def test_act_reads_workflows_without_what_it_does_not_know_yet(origin: Origin, run: runs.Run, tmp_path: Path) -> None:
    workflows = tmp_path / "here" / ".github" / "workflows"
    workflows.mkdir(parents=True)
    text = (
        "concurrency:\n  group: x\n  queue: max\njobs:\n  a:\n    uses: $/.github/workflows/b.yml\n"
        "  b:\n    strategy:\n      matrix: {n: [1, 2]}\n"
    )
    (workflows / "a.yml").write_text(text)
    commit = origin.commit_files()
    origin.push(commit)

    work = act.prepare(run, origin.path, commit)

    read = (work / ".github" / "workflows" / "a.yml").read_text()
    assert read == (
        "concurrency:\n  group: x\njobs:\n  a:\n    uses: ./.github/workflows/b.yml\n"
        "  b:\n    strategy:\n      max-parallel: 1\n      matrix: {n: [1, 2]}\n"
    )


def test_an_action_without_a_stand_in_is_named(tmp_path: Path) -> None:
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    (tmp_path / ".github" / "workflows" / "a.yml").write_text(f"uses: some/action@{'a' * 40} # v1\n")

    with pytest.raises(CourseError, match=r"nothing stands in for the action some/action: write .*action\.yml"):
        act.stand_ins(tmp_path)


def test_a_cluster_elsewhere_is_refused_before_anything_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Cluster("arn:aws:eks:eu-west-1:1:cluster/house", "https://example.eks.amazonaws.com", "dev")
    monkeypatch.setattr(rehearsal, "current_cluster", lambda *_: far)

    for verb in (["push"], ["rollback"], ["workflow", "ci.yml"]):
        done = CliRunner().invoke(rehearsal.cli, verb)
        assert done.exit_code == 1
        assert "is not on this machine" in done.output


@pytest.fixture
def orders(origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[rehearsal.Order]:
    """What the verbs would let act do."""
    ordered: list[rehearsal.Order] = []

    def note(order: rehearsal.Order, this: runs.Run, _: rehearsal.Stage) -> None:
        ordered.append(order)
        this.held.close()

    stage = rehearsal.Stage(Cluster("x", "https://127.0.0.1:1", "dev"), Registry(tmp_path / "registry", 1), origin)
    monkeypatch.setattr(rehearsal, "HOME", tmp_path / "home")
    monkeypatch.setattr(rehearsal, "_set", lambda: stage)
    monkeypatch.setattr(rehearsal, "_perform", note)
    return ordered


def test_a_rollback_says_why_and_from_what(orders: list[rehearsal.Order]) -> None:
    done = CliRunner().invoke(rehearsal.cli, ["rollback"], env={"REASON": "prices look odd", "FROM": "v7"})

    assert done.exit_code == 0, done.output
    given = {option for option in orders[0].options if option.startswith("--input=")}
    assert given == {"--input=environment=dev", "--input=reason=prices look odd", "--input=version=v7"}


def test_prod_has_a_role_only_for_who_says_yes(orders: list[rehearsal.Order]) -> None:
    for told in ({}, {"PROD": "1"}):
        assert CliRunner().invoke(rehearsal.cli, ["push"], env=told).exit_code == 0

    assert ["--var=AWS_PROD_ROLE=deploy-prod" in order.options for order in orders] == [False, True]
    assert [order.environments for order in orders] == [("dev",), ("dev", "prod")]


def test_a_push_that_prod_did_not_take_is_no_success(
    orders: list[rehearsal.Order], git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CliRunner().invoke(rehearsal.cli, ["push"], env={"PROD": "1"}).exit_code == 0
    commit = git("rev-parse", "--short=12", "HEAD")
    in_prod = commit
    monkeypatch.setattr(rehearsal.Stage, "serving", lambda _, environment="dev": in_prod)

    assert f"{commit} serves in prod" in orders[0].done("v1", commit)
    in_prod = "v1"
    with pytest.raises(CourseError, match="and yet v1 serves in prod instead of"):
        orders[0].done("v1", commit)


def test_progress_shows_each_step_what_is_not_done_here_and_why_one_failed(capsys: pytest.CaptureFixture[str]) -> None:
    show, log = Progress(), io.StringIO()
    step = {"job": "deploy/image", "stage": "Main", "step": "actions/attest@" + "a" * 40, "stepID": ["0"]}
    show.take(step | {"msg": "⭐ Run Main actions/attest"}, log)
    show.take({"job": "deploy/image", "raw_output": True, "msg": "– not signed here\r\n"}, log)
    show.take(step | {"msg": "  ✅  Success", "stepResult": "success", "executionTime": 2e9}, log)
    step |= {"step": "make test", "stepID": ["1"]}
    show.take(step | {"msg": "⭐ Run Main make test"}, log)
    show.take({"job": "deploy/image", "raw_output": True, "msg": "| waiting\r\x1b[31m1 failed\x1b[0m\n"}, log)
    show.take(step | {"msg": "  ❌  Failure", "stepResult": "failure", "executionTime": 3e9}, log)

    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        ["image"],
        ["✓", "attest", "2", "s"],
        ["–", "not", "signed", "here"],
        ["✗", "make", "test", "3", "s"],
    ]
    assert show.why == "step 'image: make test' failed; its last words:\n    1 failed"
    assert "image    1 failed\n" in log.getvalue()


@pytest.fixture
def answering() -> Iterator[int]:
    """A port where something answers as a registry does."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in which stand-ins for docker and kind note what they are told; `docker ps` shows another one."""
    programs, told = tmp_path / "bin", tmp_path / "told"
    programs.mkdir()
    for name in ("docker", "kind"):
        script = (
            f'#!/bin/sh\necho "{name} $*" >>"{told}"\n'
            f'case "$*" in ps*) cat "{tmp_path}/container" ;; "get nodes"*) echo node-1 ;; esac\n'
            f'case "$*" in *cp*) cat >>"{told}" ;; esac\n'
        )
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    (tmp_path / "container").touch()
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return told


def test_a_kind_cluster_is_told_where_the_registry_is(told: Path, answering: int, tmp_path: Path) -> None:
    (tmp_path / "container").write_text("0123\n")
    registry = Registry(tmp_path / "registry", answering)

    registry.up(Cluster("kind-house", "https://127.0.0.1:1", "dev"))

    noted = told.read_text()
    folder = f"/etc/containerd/certs.d/127.0.0.1:{answering}"
    assert "docker network connect kind house-price-registry-" in noted
    assert f"docker exec node-1 mkdir -p {folder}\n" in noted
    assert f"docker exec --interactive node-1 cp /dev/stdin {folder}/hosts.toml\n[host." in noted
    assert "docker run" not in noted, "it runs already"


def test_a_port_where_something_else_answers_is_named(told: Path, answering: int, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match=f"REHEARSAL_REGISTRY_PORT={answering + 1}"):
        Registry(tmp_path / "registry", answering).up(Cluster("other", "https://127.0.0.1:1", "dev"))


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # which is the point of it
def test_debians_program_is_started_once_and_stopped(
    told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "docker-registry"
    program.write_text(
        f"#!{sys.executable}\n"
        "import http.server, os, re, sys\n"
        "os.makedirs('v2', exist_ok=True)\n"
        "port = int(re.search(r'127.0.0.1:(\\d+)', open(sys.argv[2]).read())[1])\n"
        "http.server.test(http.server.SimpleHTTPRequestHandler, port=port, bind='127.0.0.1')\n"
    )
    program.chmod(0o755)
    registry, cluster = Registry(tmp_path / "registry", free_port()), Cluster("other", "https://127.0.0.1:1", "dev")
    monkeypatch.chdir(tmp_path)

    registry.up(cluster)
    pid = int((tmp_path / "registry" / "pid").read_text())
    registry.up(cluster)

    assert int((tmp_path / "registry" / "pid").read_text()) == pid
    registry.down()
    deadline = time.monotonic() + 10
    with suppress(ChildProcessError):  # whoever forgot it has seen it go
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            assert time.monotonic() < deadline
    assert "docker run" not in told.read_text()

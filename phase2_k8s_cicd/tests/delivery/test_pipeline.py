"""Room: pipeline. What later steps and whoever looks at a run are told; and an old run brings no old version back."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import phase2_k8s_cicd.tools
import pytest
from click.testing import CliRunner
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.delivery.pipeline import give_image, give_outcome, overtaken_by, summary
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.probe import Report
from phase2_k8s_cicd.settings import PipelineSettings

NAME, DIGEST = "127.0.0.1:5180/houses/house-price-service", f"sha256:{'a' * 64}"


def report(**fields: Any) -> Report:
    found = {"url": "", "started_at": "", "seconds": 8, "requests": 1200, "ok": 1200, "lost": 0, "p50_ms": 3.14}
    return Report(**found | {"p99_ms": 9, "max_ms": 9, "versions": {}, "lost_by_kind": {}, "losses": []} | fields)


def outcome(**fields: Any) -> Outcome:
    known: dict[str, Any] = {"result": "serving", "version": "v2", "previous": "v1", "reason": "asked 1,200 times"}
    return Outcome(**known | {"by": "ani", "started_at": dt.datetime(2026, 1, 1), "seconds": 61.4} | fields)


def test_later_steps_get_the_parts_of_a_pushed_image(tmp_path: Path) -> None:
    output = tmp_path / "output"

    give_image(PipelineSettings(github_output=output), f"{NAME}:v2@{DIGEST}")

    given = dict(line.split("=", 1) for line in output.read_text().splitlines())
    assert given == {
        "image": f"{NAME}:v2@{DIGEST}",
        "name": NAME,
        "version": "v2",
        "digest": DIGEST,
        "reference": f"{NAME}@{DIGEST}",
    }


def test_an_image_that_is_only_built_has_no_digest_to_give(tmp_path: Path) -> None:
    output = tmp_path / "output"

    give_image(PipelineSettings(github_output=output), f"{NAME}:v2")

    assert output.read_text() == f"image={NAME}:v2\nname={NAME}\nversion=v2\n"


def test_the_summary_says_who_brought_what_and_what_callers_saw(tmp_path: Path) -> None:
    page, output = tmp_path / "page", tmp_path / "output"
    settings = PipelineSettings(github_step_summary=page, github_output=output)

    give_outcome(settings, outcome(candidate={"new": report(requests=200)}, watch=report()), "dev")

    text = page.read_text()
    assert "### ✓ rollout of v2 in dev: serving\n" in text
    assert "| by | ani |" in text
    assert "| candidate, new version | 200 | 0 | 3.1 ms | 9.0 ms |" in text
    assert "| callers meanwhile | 1,200 | 0 | 3.1 ms | 9.0 ms |" in text
    assert output.read_text() == "result=serving\n"


def test_the_summary_of_a_refusal_stays_one_table_and_says_what_serves() -> None:
    text = summary(outcome(result="refused", reason="price 1 | not 2\nsecond line"), "prod")

    assert text.startswith("### ✗ rollout of v2 in prod: refused; v1 serves as before\n")
    assert "| reason | price 1 \\| not 2 second line |\n" in text


def test_what_failed_may_not_have_left_the_old_version_serving() -> None:
    text = summary(outcome(result="failed", action="rollback", image="house:v2", watch=report(lost=3)), "prod")

    assert text.startswith("### ✗ rollback of v2 in prod: failed\n")
    assert "| callers meanwhile | 1,200 | 3 |" in text
    for fact in ("before | v1", "image | `house:v2`", "seconds | 61"):
        assert f"| {fact} |\n" in text


def test_nothing_is_written_when_a_person_typed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    give_outcome(PipelineSettings(), outcome(), "dev")


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What a step of a pipeline gives to later ones, and where; what it made of signals is made undone."""
    heard = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page"))
    yield tmp_path / "output"
    for number, handler in heard.items():
        signal.signal(number, handler)


def test_a_rollback_does_not_pretend_to_choose_a_version() -> None:
    done = CliRunner().invoke(cli, ["rollback"], env={"VERSION": "v9"})

    assert done.exit_code == 1
    assert "make rollout VERSION=v9" in done.output


@pytest.mark.parametrize(
    ("result", "code", "said"),
    [
        ("serving", 0, "✓ v2 serves: asked 1,200 times\n"),
        ("refused", 1, "v2 was refused; v1 serves as before\n"),
        ("failed", 1, "v2 failed\n"),
    ],
)
def test_a_rollout_ends_well_only_when_its_version_serves(
    given: Path, monkeypatch: pytest.MonkeyPatch, result: str, code: int, said: str
) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.deploy.deploy_processes", lambda *_: outcome(result=result))

    done = CliRunner().invoke(cli, ["rollout", "--runtime=process"])

    assert done.exit_code == code
    assert said in done.output
    assert given.read_text() == f"result={result}\n"
    for number in (signal.SIGTERM, signal.SIGHUP):
        assert signal.getsignal(number) is signal.default_int_handler, "told to stop, it undoes what it began"


@pytest.mark.parametrize(("flag", "result"), [(["--only-forward"], "overtaken"), ([], "serving")])
def test_what_was_overtaken_is_rolled_out_by_a_person_and_by_no_pipeline(
    given: Path, monkeypatch: pytest.MonkeyPatch, flag: list[str], result: str
) -> None:
    cluster = SimpleNamespace(serving=lambda: f"{NAME}:newer", overlay="dev")
    monkeypatch.setattr("phase2_k8s_cicd.cli._chosen", lambda **_: cluster)
    monkeypatch.setattr(
        "phase2_k8s_cicd.delivery.pipeline.overtaken_by", lambda serving: serving if serving == "newer" else None
    )
    monkeypatch.setattr("phase2_k8s_cicd.rollout.deploy.deploy", lambda *_: outcome())

    CliRunner().invoke(cli, ["rollout", *flag])

    assert given.read_text() == f"result={result}\n"


@pytest.fixture
def commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An old, the present and a newer commit of a repository, and one of a branch beside."""
    names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=tmp_path, env=os.environ | names, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    git("init", "--quiet")
    found = []
    for number in range(3):
        git("commit", "--quiet", "--allow-empty", "-m", str(number))
        found.append(git("rev-parse", "--short=12", "HEAD"))
    git("checkout", "--quiet", found[0])
    git("commit", "--quiet", "--allow-empty", "-m", "beside")
    found.append(git("rev-parse", "--short=12", "HEAD"))
    git("checkout", "--quiet", found[1])
    monkeypatch.setattr(phase2_k8s_cicd.tools, "ROOT", tmp_path)
    return found


def test_only_a_commit_that_came_after_overtakes(commits: list[str]) -> None:
    old, present, newer, beside = commits

    assert overtaken_by(newer) == newer
    assert overtaken_by(f"{newer}-0123abcd") == f"{newer}-0123abcd"
    for other in (None, old, present, f"{present}-0123abcd", beside, "v2", "0123456789ab"):
        assert overtaken_by(other) is None, other

"""Without Docker the message must say what to do; what needs Docker is tested with the image."""

from __future__ import annotations

from pathlib import Path

import container
import pytest


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [("PATH", "/nowhere", "no docker command"), ("DOCKER_HOST", "unix:///nowhere", "no Docker engine answers")],
)
def test_without_docker_the_other_runtime_is_offered(
    name: str,
    value: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)

    code = container.main(["up", "phase1_try", "--root", str(tmp_path)])

    said = capsys.readouterr().err
    assert code == 1
    assert reason in said
    assert "RUNTIME=process" in said


def test_a_container_is_asked_on_the_port_that_it_was_started_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ports.env").write_text("PHASE1_API_PORT=5000\n")
    engine = tmp_path / "docker"
    engine.write_text('#!/bin/sh\n[ "$1" = port ] && echo 127.0.0.1:5001\n')
    engine.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("PORT", raising=False)
    asked = ["ports", "phase1_try", "--root", str(tmp_path)]

    container.main(asked)
    engine.write_text("#!/bin/sh\nexit 1\n")
    container.main(asked)

    assert capsys.readouterr().out.split() == ["PHASE1_API_PORT=5001", "PHASE1_API_PORT=5000"]

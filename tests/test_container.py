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

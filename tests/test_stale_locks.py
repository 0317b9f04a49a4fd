"""A lock that its pyproject.toml has left behind is found without asking anybody."""

from __future__ import annotations

from pathlib import Path

import pytest
import stale_locks

ROOT = Path(__file__).parents[1]
PYPROJECT = "phase1_docker_api/pyproject.toml"
LOCKED = 'dependencies = ["click>=8.3", "fastapi>=0.165"]'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small repository whose locks are up to date."""
    phase = tmp_path / "phase1_docker_api"
    phase.mkdir()
    (tmp_path / "pyproject.toml").write_text('[dependency-groups]\ndev = ["ruff>=0.17"]\n')
    (tmp_path / PYPROJECT).write_text(
        f'[project]\nname = "phase1-docker-api"\n{LOCKED}\n[project.optional-dependencies]\ntrain = ["pandas>=2"]\n'
    )
    pins = {name: f"{name}==8.4 \\\n    --hash=sha256:0\n    # via p ({PYPROJECT})\n" for name in ("click", "pandas")}
    indirect = "idna==3 \\\n    --hash=sha256:0\n    # via click\n"
    fastapi = f"fastapi==0.165.1 \\\n    --hash=sha256:0\n    # via\n    #   p ({PYPROJECT})\n    #   other\n"
    (phase / "requirements.txt").write_text(pins["click"] + fastapi + indirect)
    (phase / "requirements-train.txt").write_text(pins["click"] + fastapi + indirect + pins["pandas"])
    upper = tmp_path / "phase2_k8s_cicd"
    upper.mkdir()
    (upper / "pyproject.toml").write_text('[project]\nname = "phase2"\ndependencies = ["phase1-docker-api"]\n')
    through = "    # via phase1-docker-api\n"
    (upper / "requirements.txt").write_text(f"click==8.4\n{through}fastapi==0.165.1\n{through}# excluded:\n# phase2\n")
    ruff = "ruff==0.17.6 \\\n    --hash=sha256:0\n    # via (pyproject.toml:dev)\n"
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "dev.txt").write_text(ruff)
    return tmp_path


def test_the_locks_of_this_checkout_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    assert stale_locks.main(ROOT) == 0, capsys.readouterr().out


def test_locks_that_are_up_to_date_are_not_faulted(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stale_locks.main(repository) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "old", "new", "finding"),
    [
        (PYPROJECT, '"click>=8.3"', '"click>=8.5"', "requirements.txt pins click 8.4, and click>=8.5 is asked for"),
        (PYPROJECT, '"click>=8.3"', '"click>=8.3", "httptools"', "requirements.txt lacks httptools"),
        (PYPROJECT, '"click>=8.3", ', "", "requirements.txt pins click, which nothing asks for any more"),
        (PYPROJECT, "pandas>=2", "pandas>=9", "requirements-train.txt pins pandas 8.4, and pandas>=9 is asked for"),
        (PYPROJECT, '"click>=8.3"', '"click>=8.3", "uvloop"', "phase2_k8s_cicd/requirements.txt lacks uvloop"),
        (
            PYPROJECT,
            '"click>=8.3", ',
            "",
            "phase2_k8s_cicd/requirements.txt pins click, which nothing asks for any more",
        ),
        (PYPROJECT, "train =", "serve =", "requirements-serve.txt is missing"),
        (
            "pyproject.toml",
            "ruff>=0.17",
            "ruff>=0.18",
            "locks/dev.txt pins ruff 0.17.6, and ruff>=0.18 is asked for",
        ),
    ],
)
def test_a_lock_left_behind_is_named_with_what_is_wrong(
    repository: Path, path: str, old: str, new: str, finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (repository / path).read_text()
    assert old in text
    (repository / path).write_text(text.replace(old, new))

    code = stale_locks.main(repository)

    said = capsys.readouterr().out
    assert code == 1
    assert finding in said
    assert "make lock" in said

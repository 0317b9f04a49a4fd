"""The environment is read by settings classes alone, and a wrong value is named with its variable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from phase1_docker_api.errors import SettingsError
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.cli import cli
from phase2_k8s_cicd.delivery.cloud.cli import cli as cloud
from phase2_k8s_cicd.rollout.processes import Local
from phase2_k8s_cicd.rollout.rollout import Plan
from phase2_k8s_cicd.settings import (
    CloudSettings,
    ImageSettings,
    PipelineSettings,
    RolloutSettings,
    Settings,
    TargetSettings,
)
from pydantic_settings import BaseSettings

import phase2_k8s_cicd

PACKAGE = Path(phase2_k8s_cicd.__file__).parent
ALL = (Settings, TargetSettings, ImageSettings, PipelineSettings, RolloutSettings, CloudSettings, Plan, Local)


def test_the_environment_is_read_by_settings_classes_alone() -> None:
    # The exercises and the rehearsal are programs of their own; tools.py hands the environment on to what it starts.
    own = [path for path in PACKAGE.rglob("*.py") if "rehearsal" not in path.parts]
    readers = {
        str(path.relative_to(PACKAGE))
        for path in own
        if re.search(r"\benviron\[|os\.environ|getenv|envvar=", path.read_text())
    }

    assert readers == {"tools.py"}
    assert len(re.findall(r"os\.environ", (PACKAGE / "tools.py").read_text())) == 1


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_frozen(kind: type[BaseSettings]) -> None:
    assert kind.model_config["frozen"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ROLLOUT_SETTLE_SECONDS", "abc", ["rollout", "--runtime=process", "--version=v2"]),
        ("PHASE2_GATEWAY_PORT", "abc", ["gateway"]),
        ("HOUSE_PORT", "70000", ["serve"]),
        ("OVERLAY", "stage", ["deployments"]),
        ("YES", "perhaps", ["remove"]),
        ("ONLY_FORWARD", "perhaps", ["rollout"]),
    ],
)
def test_a_wrong_value_ends_a_command_with_its_variable_and_no_stack_trace(
    variable: str, value: str, words: list[str]
) -> None:
    done = CliRunner().invoke(cli, words, env={variable: value})

    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.output.startswith(f"Error: {variable}={value}: Input should be ")


def test_a_wrong_value_for_the_cloud_is_named_too() -> None:
    done = CliRunner().invoke(cloud, ["down"], env={"CLOUD_YES": "perhaps"})

    assert done.exit_code == 1
    assert done.output.startswith("Error: CLOUD_YES=perhaps: ")


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM", "")
    monkeypatch.setenv("ONLY_FORWARD", "")

    settings = load_settings(RolloutSettings)

    assert (settings.from_version, settings.only_forward) == ("", False)


def test_variables_keep_their_names_and_options_win(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VERSION", "REGISTRY", "LOAD_IMAGE", "REFERENCE", "FROM", "REASON", "RUN_URL", "GITHUB_ACTOR"):
        monkeypatch.setenv(name, f"of {name}")

    settings = load_settings(RolloutSettings, version="v2")

    assert (settings.version, settings.registry, settings.load_image) == ("v2", "of REGISTRY", "of LOAD_IMAGE")
    assert (settings.reference, settings.from_version, settings.reason) == ("of REFERENCE", "of FROM", "of REASON")
    assert (settings.run, settings.github_actor) == ("of RUN_URL", "of GITHUB_ACTOR")


def test_a_setting_that_must_be_there_is_named_when_it_is_not() -> None:
    class Needy(BaseSettings, env_prefix="NEEDY_"):
        port: int

    with pytest.raises(SettingsError, match=r"^NEEDY_PORT is not set$"):
        load_settings(Needy)

"""What phase 2's programs read from the environment: one frozen class for each purpose, read by `load_settings`.

Two more stand beside their code: `rollout.rollout.Plan` (ROLLOUT_…) and `rollout.processes.Local` (PHASE2_…).
"""

from __future__ import annotations

import getpass
import os
from contextlib import suppress
from pathlib import Path
from typing import Literal

from phase1_docker_api.settings import Settings as Phase1Settings
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(Phase1Settings):
    """Settings of the phase 2 service; each is read from HOUSE_ and its name in capitals."""

    service_version: str = Field(
        "dev",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="What the header X-Service-Version and the metrics call this version; an image has its tag.",
    )


class CommandSettings(BaseSettings):
    """Settings of a command: each is read from its name in capitals; an empty variable counts as none."""

    model_config = SettingsConfigDict(
        alias_generator=str.upper,  # the whole name of the variable; these have no prefix
        populate_by_name=True,
        case_sensitive=True,
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )


class TargetSettings(CommandSettings):
    """Which cluster a command changes, and whether it may without a question."""

    overlay: Literal["local", "dev", "prod"] = Field("local", description="Which of k8s/overlays.")
    context: str | None = Field(None, description="Kube context; none is the current one.")
    yes: bool = Field(False, description="Do not ask before changing a cluster elsewhere.")


class ImageSettings(CommandSettings):
    """How images get to a cluster."""

    registry: str = Field("", description="Registry and path, as in host/houses; none is this computer.")
    load_image: str = Field("", description="Command that brings an image to the nodes; its name is added.")


class PipelineSettings(CommandSettings):
    """What GitHub Actions says about a run; a person has none of it."""

    github_output: Path | None = Field(None, description="File for values that later steps read.")
    github_step_summary: Path | None = Field(None, description="File for the run's summary.")
    github_triggering_actor: str = Field("", description="Who started the run again.")
    github_actor: str = Field("", description="Who pushed.")
    github_server_url: str = Field("", description="With repository and run id: the run's address.")
    github_repository: str = Field("", description="OWNER/NAME.")
    github_run_id: str = Field("", description="Number of the run.")
    run_url: str = Field("", description="Address of the run where it is not GitHub's.")

    @property
    def run(self) -> str:
        """The address of the pipeline's run, or nothing when a person typed the command."""
        if self.run_url or not self.github_run_id:
            return self.run_url
        return f"{self.github_server_url}/{self.github_repository}/actions/runs/{self.github_run_id}"

    @property
    def by(self) -> str:
        """Who acts: in a pipeline the one who pushed or started it again, else the user of this machine."""
        if actor := self.github_triggering_actor or self.github_actor:
            return actor
        with suppress(KeyError, OSError):  # a user id that has no name
            return getpass.getuser()
        return f"user {os.getuid()}"


class RolloutSettings(ImageSettings, PipelineSettings):
    """What a rollout or a rollback is told."""

    version: str | None = Field(None, description="Tag of the image; none is what git calls these files.")
    reference: str = Field("", description="REPOSITORY@DIGEST of the very image to roll out.")
    only_forward: bool = Field(False, description="Do nothing where a newer commit serves already.")
    from_version: str = Field("", alias="FROM", description="Roll back only if this version serves.")
    reason: str = Field("", description="Why; it is kept with the rollback.")


class CloudSettings(CommandSettings):
    """What `cloud` is told."""

    profile: str = Field("learner", description="Which *.tfvars.")
    # A name of its own: a YES=1 that is exported for rollouts must not answer what costs, or deletes all.
    yes: bool = Field(False, alias="CLOUD_YES", description="Do not ask.")
    owner: str | None = Field(None, description="Tag: who answers for it.")
    expires: str | None = Field(None, description="Tag: after this day it may be deleted.")
    api_cidrs: str | None = Field(None, description="Who reaches the cluster's API.")
    github: str | None = Field(None, description="OWNER/NAME of the repository that deploys, or `none`.")

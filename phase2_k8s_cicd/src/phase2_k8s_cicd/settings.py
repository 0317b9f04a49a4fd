"""What phase 2's service can be told through its environment: phase 1's settings, and the name of this version."""

from __future__ import annotations

from phase1_docker_api.settings import Settings as Phase1Settings
from pydantic import Field


class Settings(Phase1Settings):
    """Settings of the phase 2 service; each is read from HOUSE_ and its name in capitals."""

    service_version: str = Field(
        "dev",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="What the header X-Service-Version and the metrics call this version; an image has its tag.",
    )

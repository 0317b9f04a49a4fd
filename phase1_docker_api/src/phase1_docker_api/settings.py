"""What the service can be told through its environment, in one frozen class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from phase1_docker_api.errors import SettingsError

PREFIX = "HOUSE_"


class Settings(BaseSettings):
    """Settings of the phase 1 service; each is read from HOUSE_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; a container needs 0.0.0.0.")
    port: int = Field(5000, ge=1, le=65535, description="Port to listen on.")
    model_path: Path = Field(Path("models/phase1/current"), description="Folder of the model to serve.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level to log.")
    max_body_bytes: int = Field(65_536, ge=1024, description="Largest body of POST /predict.")
    max_batch_body_bytes: int = Field(4_194_304, ge=1024, description="Largest body of POST /predict/batch.")
    max_waiting: int = Field(1024, ge=1, description="Requests that may wait for the model; more get 503.")
    max_batches: int = Field(8, ge=1, description="Batches that may be under way; more get 503.")
    client_seconds: float = Field(
        20.0,
        ge=1,
        le=3600,
        description="How long a client may take to send a request or fetch an answer; then it is cut.",
    )
    drain_seconds: float = Field(
        0.0, ge=0, le=300, description="After SIGTERM: how long to answer on while /readyz already says 503."
    )
    grace_seconds: int = Field(20, ge=1, le=300, description="Then: how long requests in flight may take to end.")


Kind = TypeVar("Kind", bound=BaseSettings)


def load_settings(kind: type[Kind], **overrides: Any) -> Kind:
    """Read a program's settings from the environment; `overrides` win over it.

    The class states its prefix, `env_prefix`; every phase reads its settings by this function alone.

    Raises:
        SettingsError: names each variable with a wrong value.

    """
    try:
        return kind(**overrides)
    except ValidationError as error:
        raise SettingsError("\n".join(_wrong(kind, each) for each in error.errors())) from error


def _wrong(kind: type[BaseSettings], error: ErrorDetails) -> str:
    """Name the variable, its value and what is wrong with it."""
    if not error["loc"]:  # a rule about several fields
        return error["msg"]
    variable = f"{kind.model_config.get('env_prefix', '')}{error['loc'][0]}".upper()
    if error["type"] == "missing":
        return f"{variable} is not set"
    return f"{variable}={error['input']}: {error['msg']}"

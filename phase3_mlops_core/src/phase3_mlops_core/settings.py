"""The settings of phase 3's programs, read from the environment once, when a program starts."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PipelineSettings(BaseSettings):
    """Where the pipeline finds its servers and keeps its files."""

    model_config = SettingsConfigDict(env_prefix="PIPELINE_", frozen=True)

    home: Path = Field(
        Path(".run/phase3_mlops_core/data"), description="Folder of the landing zone, tables and reports."
    )
    spark_remote: str = Field("sc://127.0.0.1:5201", description="Address of the Spark Connect server.")
    mlflow_url: str = Field("http://127.0.0.1:5200", description="Address of the MLflow server.")

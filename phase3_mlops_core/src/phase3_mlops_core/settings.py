"""The settings of phase 3's programs, read from the environment once, when a program starts."""

from __future__ import annotations

import os
from pathlib import Path

from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.settings import Settings as ServiceSettings
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _port(variable: str, default: int) -> str:
    return os.environ.get(variable) or str(default)


class PipelineSettings(BaseSettings):
    """Where the pipeline finds its servers and keeps its files."""

    model_config = SettingsConfigDict(env_prefix="PIPELINE_", frozen=True)

    home: Path = Field(
        Path(".run/phase3_mlops_core/data"), description="Folder of the landing zone, tables and reports."
    )
    spark_remote: str = Field(
        default_factory=lambda: f"sc://127.0.0.1:{_port('PHASE3_SPARK_PORT', 5201)}",
        description="Address of the Spark Connect server; by default where `make phase3-up` starts it.",
    )
    mlflow_url: str = Field(
        default_factory=lambda: f"http://127.0.0.1:{_port('PHASE3_MLFLOW_PORT', 5200)}",
        description="Address of the MLflow server; by default where `make phase3-up` starts it.",
    )
    mlflow_user: str = Field("admin", description="Who the pipeline is to MLflow.")
    mlflow_password: SecretStr | None = Field(
        None, description="Its password; by default the one that was generated into the home folder."
    )
    mlflow_seconds: int = Field(7, ge=1, le=600, description="How long one answer of MLflow may take.")
    experiment: str = Field("house-price", min_length=1, description="Name of the experiment in MLflow.")
    model_name: str = Field("house-price", min_length=1, description="Name of the registered model in MLflow.")
    estimator: str = Field("trees", pattern="^(trees|linear)$", description="What a monthly training fits.")
    window_months: int = Field(6, ge=0, le=120, description="How many months it learns from; 0 is all there are.")


def pipeline_settings() -> PipelineSettings:
    """Read the pipeline's settings from the environment.

    Raises:
        SettingsError: names each variable with a wrong value.

    """
    return load_settings(PipelineSettings)


class PredictorSettings(ServiceSettings):
    """Settings of the predictor; each is read from HOUSE_ and its name in capitals."""

    model_name: str = Field("house-price", pattern="^[a-z0-9-]+$", description="Its name in KServe's protocols.")
    model_number: int | None = Field(
        None, ge=1, description="Version in the registry to serve; without one, the folder of HOUSE_MODEL_PATH."
    )
    model_cache: Path = Field(
        Path(".run/phase3_mlops_core/models"), description="Folder of the fetched versions and of the last that served."
    )
    fetch_seconds: float = Field(8.0, ge=1, le=300, description="How long the registry may take to give a version.")


class AirflowSettings(BaseSettings):
    """Where Airflow is installed, keeps its state, and listens."""

    model_config = SettingsConfigDict(env_prefix="ORCHESTRATION_", frozen=True)

    home: Path = Field(Path(".run/phase3_mlops_core/airflow"), description="Folder of Airflow's database and logs.")
    venv: Path = Field(Path(".venv-airflow"), description="Environment that Airflow is installed in.")
    project: Path = Field(Path("phase3_mlops_core/orchestration"), description="Folder of the DAGs and plugins.")
    port: int = Field(5202, ge=1, le=65535, description="Port of Airflow's page and API.")
    paused: bool = Field(False, description="Whether a DAG that is new waits until a hand unpauses it.")
    start_seconds: float = Field(180.0, ge=1, description="How long the others wait for its API server.")


class MlflowServerSettings(BaseSettings):
    """How the MLflow server runs: SQLite and a folder by default, Postgres and object storage by address."""

    model_config = SettingsConfigDict(env_prefix="PIPELINE_MLFLOW_", frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; a container needs 0.0.0.0.")
    port: int = Field(5200, ge=1, le=65535, description="Port to listen on.")
    store: Path = Field(Path(".run/phase3_mlops_core/mlflow"), description="Folder of the database and artifacts.")
    backend_uri: str | None = Field(
        None, description="Database, such as postgresql://…; by default SQLite in the store."
    )
    auth_uri: str | None = Field(None, description="Database of its users; by default SQLite in the store.")
    artifacts: str | None = Field(None, description="Where artifacts lie, such as s3://…; by default in the store.")
    allowed_hosts: str = Field(
        "localhost,127.0.0.1", description="Host headers that are answered, with their ports or `*`; others get 403."
    )
    user: str = Field("admin", min_length=1, description="Name of the first user.")
    password: SecretStr | None = Field(None, description="Its password; by default one is generated and kept.")

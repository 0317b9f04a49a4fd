"""Reach MLflow with bounded patience, and turn each way of failing into one error that says what to do."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phase3_mlops_core.errors import RegistryError, UnreachableRegistryError
from phase3_mlops_core.registry.password import generated_password
from phase3_mlops_core.registry.server import QUIET
from phase3_mlops_core.settings import PipelineSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient


def client_environment(settings: PipelineSettings) -> dict[str, str]:
    """What MLflow's client reads from the environment of its process.

    Nothing is tried twice by the client: a request that was answered too late may have been done, and a second
    version of the same model would be the result. Verbs are safe to repeat, requests are not.
    """
    given = settings.mlflow_password
    return QUIET | {
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "MLFLOW_TRACKING_USERNAME": settings.mlflow_user,
        "MLFLOW_TRACKING_PASSWORD": given.get_secret_value() if given else generated_password(settings.home),
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(settings.mlflow_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": str(settings.mlflow_seconds),
        "MLFLOW_DOWNLOAD_CHUNK_TIMEOUT": str(settings.mlflow_seconds),
    }


def connect(settings: PipelineSettings) -> MlflowClient:
    """Set this process up as a client of MLflow, and see whether it answers.

    Raises:
        RegistryError: it does not answer, or does not let us in.

    """
    os.environ.update(client_environment(settings))
    with warnings.catch_warnings():  # of its own modules, which a user of it cannot put right
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.data.pandas_dataset
        import mlflow.pyfunc

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(settings.mlflow_url)
    client = mlflow.MlflowClient()
    with speaking(settings):
        client.search_experiments(max_results=1)
    return client


@contextmanager
def speaking(settings: PipelineSettings) -> Iterator[None]:
    """Say what to do when MLflow does not answer, or refuses what it is asked.

    Raises:
        RegistryError: chained to what MLflow's client raised.

    """
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, requests.RequestException) as error:
        raise _explained(error, settings) from error


def _explained(error: Exception, settings: PipelineSettings) -> RegistryError:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    server = f"MLflow at {settings.mlflow_url}"
    if "401" in said:
        return RegistryError(f"{server} does not let {settings.mlflow_user} in: set PIPELINE_MLFLOW_PASSWORD")
    unreached = ("timed out", "Connection", "Max retries", "connection", "RemoteDisconnected")
    if any(word in said for word in unreached):
        return UnreachableRegistryError(
            f"{server} did not answer within {settings.mlflow_seconds} s: start it with "
            "`make phase3-up`, then repeat the command; what was finished stays finished"
        )
    return RegistryError(f"{server} refused: {said[:300]}")

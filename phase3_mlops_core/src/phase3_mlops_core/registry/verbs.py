"""The verb behind the Procfile that becomes the MLflow server."""

from __future__ import annotations

import click


@click.command("mlflow-server", hidden=True)
@click.option("--port", type=click.IntRange(1, 65535), envvar="PHASE3_MLFLOW_PORT", help="Port to listen on.")
def mlflow_server(port: int | None) -> None:
    """Become the MLflow server, until SIGTERM."""
    from phase1_docker_api.settings import load_settings

    from phase3_mlops_core.registry.server import serve
    from phase3_mlops_core.settings import MlflowServerSettings, pipeline_settings

    settings = load_settings(MlflowServerSettings)
    serve(settings.model_copy(update={"port": port}) if port else settings, pipeline_settings().home)


VERBS = (mlflow_server,)

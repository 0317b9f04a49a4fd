"""The verbs around the predictor; each loads the rooms it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--number", "model_number", type=click.IntRange(1), help="Version in the registry to serve.")
@click.option("--model", "model_path", type=click.Path(path_type=Path), help="Folder of a model to serve instead.")
def serve(**options: Any) -> None:
    """Serve prices by /predict and by KServe's protocols, and explanations, until SIGTERM or Ctrl-C.

    Every setting can come from the environment, HOUSE_ and its name in capitals (HOUSE_MODEL_NUMBER=3). A version
    is fetched, compared with its digest and kept; where the registry does not give it, the last one that served here
    serves on, and the log, the header X-Model-Source and the metrics say so.
    """
    from phase1_docker_api.service.logs import configure_logging, get_logger
    from phase1_docker_api.service.server import run
    from phase1_docker_api.settings import load_settings

    from phase3_mlops_core.service.app import create_app
    from phase3_mlops_core.service.source import model_to_serve
    from phase3_mlops_core.settings import PredictorSettings

    settings = load_settings(PredictorSettings, **{name: value for name, value in options.items() if value is not None})
    configure_logging(settings.log_level)
    served = model_to_serve(settings)
    get_logger().info("model_loaded", model_version=served.model.card.model_version, source=served.source)
    run(create_app(settings, served.model, source=served.source), settings)


@click.command(hidden=True)
@click.argument("number", type=click.IntRange(1))
@click.argument("into", type=click.Path(path_type=Path, file_okay=False))
def fetch(number: int, into: Path) -> None:
    """Fetch a version from the registry into a folder, whole and checked, or not at all."""
    from phase3_mlops_core.registry.versions import Registry
    from phase3_mlops_core.settings import pipeline_settings

    registry = Registry(pipeline_settings())
    registry.fetch(registry.numbered(number), into)


VERBS = (serve, fetch)

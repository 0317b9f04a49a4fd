"""The verbs behind the Procfile; each loads what it needs when it runs."""

from __future__ import annotations

import click

from phase3_mlops_core.delivery.components import COMPONENTS


@click.command(hidden=True)
@click.argument("component", type=click.Choice(COMPONENTS))
@click.option("--port", type=click.IntRange(1, 65535), envvar="PHASE3_AIRFLOW_PORT", help="Port of page and API.")
def airflow(component: str, port: int | None) -> None:
    """Become a component of Airflow, until SIGTERM."""
    from phase1_docker_api.settings import load_settings

    from phase3_mlops_core.delivery.airflow import run_component
    from phase3_mlops_core.settings import AirflowSettings, pipeline_settings

    settings = load_settings(AirflowSettings)
    settings = settings.model_copy(update={"port": port}) if port else settings
    run_component(component, settings, pipeline_settings().home / "landing")


VERBS = (airflow,)

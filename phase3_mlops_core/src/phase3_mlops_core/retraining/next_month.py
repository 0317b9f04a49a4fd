"""The verb that names the next month, for a scheduler and for people; it loads little, because it runs often."""

from __future__ import annotations

import json

import click

from phase3_mlops_core.retraining.options import exit_code_option, json_option, nothing_to_do


@click.command("next-month")
@exit_code_option
@json_option
def next_month(exit_code: bool, as_json: bool) -> None:
    """Name the oldest landed month that no decision was made on yet.

    A decision is a promotion, or the gate's no; a quarantined month waits for a better delivery. Before the first
    decision it is the newest landed month, and those before it are history. Changes nothing.

    \b
      phase3 next-month
      phase3 next-month --exit-code && echo there is work to do
    """
    from phase3_mlops_core.registry.listing import list_versions
    from phase3_mlops_core.retraining.months import waiting_months
    from phase3_mlops_core.settings import pipeline_settings

    settings = pipeline_settings()
    waiting = waiting_months(settings.home, list_versions(settings))
    text = f"{waiting[0]} is next; {len(waiting)} waiting: {', '.join(waiting)}" if waiting else "No month waits."
    click.echo(json.dumps({"month": next(iter(waiting), None), "waiting": waiting}) if as_json else text)
    if not waiting:
        nothing_to_do(exit_code)

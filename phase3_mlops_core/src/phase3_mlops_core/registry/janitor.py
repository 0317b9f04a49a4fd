"""Close what a killed training left open: runs, logged models, and drafts on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from phase3_mlops_core.registry.connection import speaking
from phase3_mlops_core.registry.runs import OURS, end
from phase3_mlops_core.registry.versions import Registry

DRAFT = ".draft-"


def tidy(registry: Registry) -> list[str]:
    """Close each open run and logged model of ours, delete drafts, and say what was done.

    Only for who holds the pipeline's lock: whatever is open then belongs to a process that is no more.
    """
    return [*_close_runs(registry), *_close_models(registry), *_delete_drafts(registry.settings.home)]


def _close_runs(registry: Registry) -> list[str]:
    done = []
    (made_by,) = OURS.items()
    with speaking(registry.settings):
        experiments = _experiments(registry)
        query = f"tags.{made_by[0]} = '{made_by[1]}' and attributes.status = 'RUNNING'"
        runs = registry.client.search_runs(experiments, query, max_results=1000) if experiments else []
    for run in runs:
        end(registry, run.info.run_id, "KILLED", "its process ended without closing it; closed by the janitor")
        done.append(f"run {run.info.run_name} ({run.info.run_id}) was open: closed as killed")
    return done


def _close_models(registry: Registry) -> list[str]:
    with speaking(registry.settings):
        experiments = _experiments(registry)
        models = registry.client.search_logged_models(experiments) if experiments else []
        pending = [model for model in models if model.status == "PENDING"]
        for model in pending:
            registry.client.finalize_logged_model(model.model_id, "FAILED")
    return [f"model {model.model_id} was half uploaded: marked as failed" for model in pending]


def _experiments(registry: Registry) -> list[str]:
    found = registry.client.get_experiment_by_name(registry.settings.experiment)
    return [found.experiment_id] if found else []


def _delete_drafts(home: Path) -> list[str]:
    drafts = sorted((home / "versions").glob(f"{DRAFT}*"))
    for draft in drafts:
        shutil.rmtree(draft, ignore_errors=True)
    return [f"{draft.name} was a draft: deleted" for draft in drafts]

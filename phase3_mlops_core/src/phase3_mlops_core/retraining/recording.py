"""Record a training in MLflow: a run with what was tried, and the version that came of it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from phase1_docker_api.course.charts import GREEN, draw_errors
from phase1_docker_api.model.artifact import write_artifact
from phase1_docker_api.model.house_model import Card

from phase3_mlops_core.registry.runs import Nested, log_dataset, log_figures, log_files, log_nested, open_run
from phase3_mlops_core.registry.versions import SCORED, SERVED, Registry, Version
from phase3_mlops_core.retraining.sales import KnownSales
from phase3_mlops_core.training.monthly import Trained
from phase3_mlops_core.training.search import Trial


def record(registry: Registry, trained: Trained, known: KnownSales) -> Version:
    """Log the training and register its version; the run is closed whatever happens."""
    card, tags = trained.refit.card, version_tags(trained, known)
    run_tags = tags | {"mlflow.source.git.commit": card.git_commit or "unknown", "mlflow.note.content": story(trained)}
    name = f"{trained.month} {trained.plan.estimator}"
    with open_run(registry, name, run_tags) as run_id, tempfile.TemporaryDirectory(prefix="phase3-train-") as place:
        folder = Path(place)
        log_nested(registry, run_id, [_nested(trial) for trial in trained.trials])
        log_dataset(registry, trained.plan.window(known.frame, trained.month), known.sha256, known.source)
        best = trained.trials[0]
        window = {"trained_from": str(card.trained_from), "trained_until": str(card.trained_until)}
        metrics = {"trained_sales": float(card.trained_sales), "search_mean_abs_log_error": best.mean_abs_log_error}
        log_figures(registry, run_id, _parameters(best) | window, metrics, best.off_by_pct)
        cards = {"card.json": _plain(trained.refit.card), "scored-card.json": _plain(trained.scored.card)}
        log_files(registry, run_id, cards, [_chart(best, folder)])
        write_artifact(trained.refit, folder / SERVED)
        write_artifact(trained.scored, folder / SCORED)
        return registry.register(folder / SERVED, folder / SCORED, tags, story(trained), run_id)


def version_tags(trained: Trained, known: KnownSales) -> dict[str, str]:
    """The version's story, as the registry's page shows it."""
    card = trained.refit.card
    return {
        "model_version": card.model_version,
        "scored_version": trained.scored.card.model_version,
        "month": str(trained.month),
        "estimator": card.estimator,
        "window": trained.plan.span.removesuffix(" up"),
        "trained_from": str(card.trained_from),
        "trained_until": str(card.trained_until),
        "trained_sales": str(card.trained_sales),
        "data_sha256": known.sha256,
        "git_commit": card.git_commit or "unknown",
    }


def story(trained: Trained) -> str:
    """One sentence on what it is."""
    card = trained.refit.card
    return (
        f"{card.estimator.capitalize()} on {card.trained_sales:,} sales, {card.trained_from} to {card.trained_until}; "
        f"the gate scores the same plan without {trained.month} ({trained.scored.card.model_version})."
    )


def _nested(trial: Trial) -> Nested:
    metrics = {"search_mean_abs_log_error": trial.mean_abs_log_error}
    return Nested(trial.name, _parameters(trial), trial.off_by_pct, metrics)


def _parameters(trial: Trial) -> dict[str, str]:
    plan = trial.plan
    named = {"estimator": plan.estimator, "window_months": str(plan.window_months), "seed": str(plan.seed)}
    return named | {name: str(value) for name, value in plan.parameters.items()}


def _chart(best: Trial, folder: Path) -> Path:
    errors = best.off_by_pct
    title = f"{best.name}: each month by a model of the months before it"
    draw_errors(list(errors), {best.plan.estimator: (list(errors.values()), GREEN)}, title, folder / "errors.png")
    return folder / "errors.png"


def _plain(card: Card) -> dict[str, object]:
    return card.model_dump(mode="json")

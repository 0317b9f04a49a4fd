"""What a pipeline needs and a person does not: results for later steps, a summary, and no way backwards by accident."""

from __future__ import annotations

import re

from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.probe import Report
from phase2_k8s_cicd.settings import PipelineSettings
from phase2_k8s_cicd.tools import run, succeeds

# As version_here names a commit, with or without changes on top.
COMMIT = re.compile(r"([0-9a-f]{12})(-[0-9a-f]{8})?")
IMAGE = re.compile(r"(?P<name>[^@]+):(?P<version>[^:@/]+)(@(?P<digest>sha256:[0-9a-f]{64}))?")


def give(settings: PipelineSettings, **values: str) -> None:
    """Give values to later steps, where GitHub Actions says how; anywhere else do nothing."""
    if path := settings.github_output:
        with path.open("a") as file:
            file.writelines(f"{name}={value}\n" for name, value in values.items())


def give_image(settings: PipelineSettings, image: str) -> None:
    """Give an image's name to later steps, and in parts once it is pushed and has a digest."""
    if parts := IMAGE.fullmatch(image):
        pushed = (
            {"digest": parts["digest"], "reference": f"{parts['name']}@{parts['digest']}"} if parts["digest"] else {}
        )
        give(settings, image=image, name=parts["name"], version=parts["version"], **pushed)


def give_outcome(settings: PipelineSettings, outcome: Outcome, overlay: str) -> None:
    """Give what became of a rollout to later steps, and a summary to whoever looks at the run."""
    give(settings, result=outcome.result)
    if path := settings.github_step_summary:
        with path.open("a") as file:
            file.write(summary(outcome, overlay))


def summary(outcome: Outcome, overlay: str) -> str:
    """Say in Markdown who brought what, what came of it, and what those saw who asked meanwhile."""
    came = outcome.result == "serving"
    stays = f"; {outcome.previous} serves as before" if outcome.old_serves else ""
    title = f"{'✓' if came else '✗'} {outcome.action} of {outcome.version} in {overlay}: {outcome.result}{stays}"
    facts = {
        "by": outcome.by,
        "before": outcome.previous or "nothing",
        "image": f"`{outcome.image}`" if outcome.image else "",
        "reason": " ".join(outcome.reason.replace("|", "\\|").split()),
        "seconds": f"{outcome.seconds:.0f}",
    }
    asked = {f"candidate, {name} version": report for name, report in outcome.candidate.items()}
    asked |= {f"{percent} % of callers shifted": report for percent, report in outcome.shares.items()}
    if outcome.watch:
        asked["callers meanwhile"] = outcome.watch
    lines = [f"### {title}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {fact} |" for name, fact in facts.items() if fact]
    if asked:
        lines += ["", "| asked | requests | lost | p50 | p99 |", "|---|---|---|---|---|"]
        lines += [_row(name, report) for name, report in asked.items()]
    return "\n".join(lines) + "\n\n"


def _row(name: str, report: Report) -> str:
    times = f"{report.p50_ms:.1f} ms | {report.p99_ms:.1f} ms"
    return f"| {name} | {report.requests:,} | {report.lost} | {times} |"


def overtaken_by(serving: str | None) -> str | None:
    """Name what serves, if it is a commit that came after the one in this folder.

    A run that is repeated, or whose turn comes late, would bring an old version back. What cannot be compared overtakes
    nothing: a version with a name of its own, or a commit that this clone does not know.
    """
    found = COMMIT.fullmatch(serving or "")
    if not found or found[1] == run(["git", "rev-parse", "--short=12", "HEAD"]).strip():
        return None
    return serving if succeeds(["git", "merge-base", "--is-ancestor", "HEAD", found[1]]) else None

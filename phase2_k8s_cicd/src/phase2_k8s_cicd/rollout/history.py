"""Who deployed what: a ConfigMap beside the service keeps a line for each rollout and rollback.

Events are gone after an hour and Kubernetes' own revisions after ten; a team asks later, and about refusals too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from phase2_k8s_cicd.cluster.cluster import Cluster
from phase2_k8s_cicd.rollout.outcome import Outcome

KEY = "deployments.jsonl"
# With 2 kB of reason at most these stay below the 1 MiB that Kubernetes allows, and below what one page can show.
KEPT = 200
FIELDS = {"action", "result", "version", "previous", "image", "by", "run", "reason", "started_at", "seconds"}


def append(cluster: Cluster, outcome: Outcome) -> None:
    """Add a line; only who holds the lease may.

    Raises:
        ToolError: the cluster does not take it.

    """
    name = cluster.workload.history
    found = cluster.get("configmap", name)
    lines = found["data"][KEY].splitlines() if found else []
    lines.append(outcome.model_copy(update={"reason": outcome.reason[:2000]}).model_dump_json(include=FIELDS))
    metadata = {"name": name, "labels": {"app.kubernetes.io/name": name}}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: "\n".join(lines[-KEPT:])}}
    if found is None:
        cluster.create(manifest)
    else:
        cluster.kubectl("replace", "--filename=-", stdin=json.dumps(manifest))


def read(cluster: Cluster) -> list[Outcome]:
    """Give what is kept, the oldest first.

    Raises:
        ToolError: the cluster does not answer.

    """
    found = cluster.get("configmap", cluster.workload.history)
    return [Outcome.model_validate_json(line) for line in found["data"][KEY].splitlines()] if found else []


def was_rolled_back(outcomes: Sequence[Outcome], version: str) -> bool:
    """Say whether the last that was done with a version here was to go back from it."""
    for each in reversed(outcomes):
        if each.action == "rollback" and each.previous == version:
            return True  # even where it did not get there: it was wanted
        if each.result == "serving" and each.version == version:
            return False
    return False


def table(outcomes: Sequence[Outcome]) -> str:
    """Show a line for each, and under one that did not come to serve the reason."""
    rows = [
        (
            f"{each.started_at:%Y-%m-%d %H:%M} {'✓' if each.result == 'serving' else '✗'}",
            each.version,
            f"{each.action} {each.result}, before: {each.previous or 'nothing'}",
            each.by,
        )
        for each in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for row, each in zip(rows, outcomes, strict=True):
        lines.append("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]))
        if each.result != "serving":
            lines.append(f"    {each.reason.splitlines()[0]}")
        if each.run:
            lines.append(f"    {each.run}")
    return "\n".join(lines)

"""What became of a rollout, and where that is kept."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.rollout.probe import Report
from phase2_k8s_cicd.rollout.way_back import mark_as_served

Result = Literal["serving", "refused", "undone", "failed"]


class Outcome(BaseModel):
    """Refused: the old version was not touched. Undone: it is back. Failed: which version serves is not sure."""

    action: Literal["rollout", "rollback"] = "rollout"
    result: Result
    version: str
    previous: str | None
    image: str = ""
    reason: str
    by: str
    run: str = ""
    started_at: dt.datetime
    seconds: float
    candidate: dict[str, Report] = {}
    shares: dict[int, Report] = {}
    watch: Report | None = None

    @property
    def old_serves(self) -> bool:
        """Whether the version before serves on, as far as is known."""
        return self.previous is not None and self.result in ("refused", "undone")

    def write(self, folder: Path) -> Path:
        """Write it as JSON, and give the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.started_at:%Y%m%dT%H%M%SZ}-{self.version}.json"
        path.write_text(self.model_dump_json(indent=1) + "\n")
        return path

    def record(self, cluster: Cluster) -> None:
        """Add an event to the Deployment, which `kubectl describe` shows for an hour, and the cause of a change.

        Raises:
            ToolError: the cluster does not take it.

        """
        name = cluster.workload.name
        deployment = cluster.get("deployment", name)
        if deployment is None:
            return
        cluster.create(self._event(deployment))
        if self.result == "serving":
            cause = f"kubernetes.io/change-cause={self.version} by {self.by}, in place of {self.previous}"
            cluster.kubectl("annotate", f"deployment/{name}", cause, "--overwrite")
            mark_as_served(cluster, self.version)

    def _event(self, deployment: Object) -> Object:
        ended = (self.started_at + dt.timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {name: deployment["metadata"][name] for name in ("name", "namespace", "uid")}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{about['name']}-rollout-"},
            "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", **about},
            "type": "Normal" if self.result == "serving" else "Warning",
            "reason": f"Rollout{self.result.capitalize()}",
            "message": f"{self.version} by {self.by}: {self.reason}"[:1000],
            "source": {"component": "phase2"},
            "firstTimestamp": ended,
            "lastTimestamp": ended,
            "count": 1,
        }

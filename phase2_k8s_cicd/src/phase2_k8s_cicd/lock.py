"""One rollout at a time: a Lease in the namespace says who is at it, and for how long it is to be believed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from phase2_k8s_cicd.cluster import Cluster
from phase2_k8s_cicd.errors import ClusterError, ToolError

LEASE = "house-price-rollout"
FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


@contextmanager
def only_one(cluster: Cluster, holder: str, seconds: int, now: dt.datetime) -> Iterator[None]:
    """Hold the lease; whoever was killed loses it after `seconds`.

    Raises:
        ClusterError: another rollout holds it.

    """
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "acquireTime": now.strftime(FORMAT),
            "renewTime": now.strftime(FORMAT),
        },
    }
    try:
        cluster.create(lease)
    except ToolError:
        found = cluster.get("lease", LEASE)
        if found is None:
            raise  # it was not the lease that was refused
        held = found["spec"]
        until = _time(held["renewTime"]) + dt.timedelta(seconds=held["leaseDurationSeconds"])
        if now < until:
            end_it = " ".join(cluster.command("delete", "lease", LEASE))
            raise ClusterError(
                f"{held['holderIdentity']} is rolling out here; wait for its end, or until {until:%H:%M:%S} UTC. "
                f"If it was killed:  {end_it}"
            ) from None
        # The version that was read must still be there: of two who find it expired, one is refused.
        lease["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]  # type: ignore[index]
        cluster.kubectl("replace", "--filename=-", stdin=json.dumps(lease))
    try:
        yield
    finally:
        with suppress(ToolError):
            found = cluster.get("lease", LEASE)
            if found and found["spec"]["acquireTime"] == lease["spec"]["acquireTime"]:  # type: ignore[index]
                cluster.delete(f"lease/{LEASE}")


def _time(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, FORMAT).replace(tzinfo=dt.UTC)

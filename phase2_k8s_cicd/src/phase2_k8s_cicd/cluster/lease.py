"""One rollout at a time: a Lease in the namespace says who is at it, and for how long it is to be believed."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from phase2_k8s_cicd.cluster.cluster import Cluster, Object
from phase2_k8s_cicd.errors import ClusterError, ToolError

FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"
Clock = Callable[[], dt.datetime]


@contextmanager
def only_one(cluster: Cluster, holder: str, seconds: float, clock: Clock, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the workload's Lease, renewed three times in `seconds`; a process that was killed loses it after them.

    Raises:
        ClusterError: another rollout holds it, and does so still after `wait_seconds`.

    """
    acquired = _wait_for(cluster, holder, seconds, clock, wait_seconds)
    done = threading.Event()
    renewing = threading.Thread(target=_renew, args=(cluster, acquired, seconds / 3, clock, done), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()
        with suppress(ToolError):
            found = cluster.get("lease", cluster.workload.lease)
            if found and found["spec"]["acquireTime"] == acquired:
                cluster.delete(f"lease/{cluster.workload.lease}")


def _wait_for(cluster: Cluster, holder: str, seconds: float, clock: Clock, wait_seconds: float) -> str:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return _acquire(cluster, holder, seconds, clock())
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(min(2, wait_seconds))


def _acquire(cluster: Cluster, holder: str, seconds: float, now: dt.datetime) -> str:
    """Take the lease, or one that has expired; give the time that tells this holding from others."""
    acquired = now.strftime(FORMAT)
    lease: Object = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": cluster.workload.lease},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(seconds)),
            "acquireTime": acquired,
            "renewTime": acquired,
        },
    }
    try:
        cluster.create(lease)
    except ToolError:
        found = cluster.get("lease", cluster.workload.lease)
        if found is None:
            raise  # it was not the lease that was refused
        held = found["spec"]
        until = _time(held["renewTime"]) + dt.timedelta(seconds=held["leaseDurationSeconds"])
        if now < until:
            end_it = " ".join(cluster.command("delete", "lease", cluster.workload.lease))
            raise ClusterError(
                f"{held['holderIdentity']} is rolling out here; wait for its end, or until {until:%H:%M:%S} UTC. "
                f"If it was killed:  {end_it}"
            ) from None
        # The version that was read must still be there: of two who find it expired, one is refused.
        lease["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
        cluster.kubectl("replace", "--filename=-", stdin=json.dumps(lease))
    return acquired


def _renew(cluster: Cluster, acquired: str, pause_s: float, clock: Clock, done: threading.Event) -> None:
    while not done.wait(pause_s):
        change = [
            {"op": "test", "path": "/spec/acquireTime", "value": acquired},  # never another's, who came after a sleep
            {"op": "replace", "path": "/spec/renewTime", "value": clock().strftime(FORMAT)},
        ]
        with suppress(ToolError):  # the next time may do; two of three may fail
            cluster.kubectl("patch", "lease", cluster.workload.lease, "--type=json", f"--patch={json.dumps(change)}")


def _time(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, FORMAT).replace(tzinfo=dt.UTC)

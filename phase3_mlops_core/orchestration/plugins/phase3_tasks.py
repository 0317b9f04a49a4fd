"""How a task of the DAG runs: this module alone decides whether a verb of phase 3 is a process or a pod."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from verb_links import LINKS

ROOT = os.environ["ORCHESTRATION_ROOT"]
PHASE3 = os.environ["ORCHESTRATION_PHASE3"]
LANDING = os.environ["ORCHESTRATION_LANDING"]
FAILURES = Path(os.environ["ORCHESTRATION_FAILURES"])
# What a task may know of the environment; the secrets of Airflow's own processes are not among it.
PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "TMPDIR", "SSL_CERT_FILE", "SPARK_REMOTE")
PASSED_ON_PREFIXES = ("PIPELINE_", "PHASE", "HOUSE_")
# The codes with which verbs end: there is nothing to go on with, and something will not change by itself.
NOTHING_TO_DO, FOR_GOOD = 99, (1, 2)
# What earlier tasks of the run named.
MONTH = "{{ ti.xcom_pull(task_ids='next-month')['month'] }}"
VERSION = "{{ ti.xcom_pull(task_ids='train')['version'] }}"


def phase3(verb: str, *arguments: str, task_id: str | None = None, **options: Any) -> BaseOperator:
    """Make the task that runs one verb of phase 3's command line, which can be repeated.

    A server may be starting again, or another command may work: then it is tried three times more, after 10, 20 and
    40 seconds. What will not change by itself is not tried again.
    """
    return VerbProcess(
        task_id=task_id or verb,
        verb=verb,
        arguments=arguments,
        retries=3,
        retry_delay=dt.timedelta(seconds=10),
        retry_exponential_backoff=2.0,
        execution_timeout=dt.timedelta(minutes=15),
        on_failure_callback=record_failure,
        **options,
    )


class VerbProcess(BaseOperator):
    """A verb as a process of this computer, in phase 3's Python; what it prints as JSON is the task's result."""

    template_fields: Sequence[str] = ("arguments",)
    operator_extra_links = tuple(LINKS)
    ui_color = "#e8f4ea"

    def __init__(self, *, verb: str, arguments: Sequence[str] = (), **options: Any) -> None:
        super().__init__(**options)
        self.verb, self.arguments = verb, list(arguments)
        self.process: subprocess.Popen[str] | None = None
        self.result: dict[str, Any] = {}

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Run it, with what it says in the task's log."""
        command = [PHASE3, self.verb, "--json", *self.arguments]
        self.log.info("%s", " ".join(["phase3", *command[1:]]))
        with tempfile.TemporaryFile("w+") as out:
            code = self._run(command, out)
            out.seek(0)
            said = out.read()
        self.log.info("it ended with code %d\n%s", code, said)
        self.result = json.loads(said) if said.strip() else {}
        _judge(code, self.result)
        return self.result

    def on_kill(self) -> None:
        """End the verb with its task."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)

    def _run(self, command: Sequence[str], out: Any) -> int:
        own = {"cwd": ROOT, "env": environment(os.environ), "start_new_session": True}
        self.process = subprocess.Popen(command, **own, stdout=out, stderr=subprocess.PIPE, text=True)  # noqa: S603 - phase3
        for line in self.process.stderr or ():
            self.log.info("%s", line.rstrip())
        return self.process.wait()


def record_failure(context: Mapping[str, Any]) -> None:
    """Append one line on a task that failed for good; its month stays undecided, and is taken again."""
    ti = context["ti"]
    line = {
        "at": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "dag": ti.dag_id,
        "run": ti.run_id,
        "task": ti.task_id,
        "why": str(context.get("exception", "")),
    }
    with FAILURES.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick what a verb may know of the environment of Airflow."""
    return {name: value for name, value in environ.items() if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)}


def _judge(code: int, result: Mapping[str, Any]) -> None:
    """Say how a verb that ended with this code is taken: skipped, failed for good, or worth another try."""
    if code == NOTHING_TO_DO:
        raise AirflowSkipException(result.get("why") or "there is nothing to go on with: the log says why")
    if code in FOR_GOOD:
        raise AirflowFailException(f"the verb ended with code {code}, and its last line says why: no second try helps")
    if code:
        raise AirflowException(f"the verb ended with code {code}: it is tried again")

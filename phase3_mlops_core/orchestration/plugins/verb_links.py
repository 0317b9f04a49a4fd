"""Buttons on a task's page: they lead to what its verb made, and are kept for each try."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink


class MlflowRun(BaseOperatorLink):
    """The run in MLflow that the version comes from."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Read the address from what the verb printed."""
        return str(operator.result.get("run_page", ""))


class GateReport(BaseOperatorLink):
    """The gate's report, among the files of that run."""

    name = "Gate's report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Read the address from what the verb printed."""
        return str(operator.result.get("report_page", ""))


LINKS = (MlflowRun(), GateReport())

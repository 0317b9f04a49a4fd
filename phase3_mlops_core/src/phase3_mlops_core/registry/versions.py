"""Register versions of the model, find them again, name them, and fetch an exact one."""

from __future__ import annotations

import fcntl
import io
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phase3_mlops_core.errors import RegistryError
from phase3_mlops_core.registry.connection import connect, speaking
from phase3_mlops_core.registry.package import CODE, EXAMPLE, REQUIREMENTS, digest_of, signature, verify
from phase3_mlops_core.registry.version import Version
from phase3_mlops_core.settings import PipelineSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["CHALLENGER", "CHAMPION", "SCORED", "SERVED", "STAGING", "Registry", "Version"]

CHALLENGER, STAGING, CHAMPION = "challenger", "staging", "champion"
# The folder that serves, and the one that the gate scores: the same plan, fitted without the newest month.
SERVED, SCORED = "model", "scored"


class Registry:
    """The registered model of the settings, in MLflow."""

    def __init__(self, settings: PipelineSettings, client: MlflowClient | None = None) -> None:
        self.settings, self.name = settings, settings.model_name
        self.client = client or connect(settings)

    def versions(self) -> list[Version]:
        """All versions, oldest first; those that are not ours, which have no `model_version`, are left out."""
        with speaking(self.settings):
            found = self.client.search_model_versions(f"name = '{self.name}'", max_results=10_000)
        ours = [Version(int(v.version), v.run_id or "", dict(v.tags)) for v in found if "model_version" in v.tags]
        return sorted(ours, key=lambda version: version.number)

    def find(self, model_version: str) -> Version | None:
        """The version that holds this model, if it was registered."""
        return next((version for version in self.versions() if version.model_version == model_version), None)

    def aliases(self) -> dict[str, int]:
        """Which version each alias names; empty before the first registration."""
        from mlflow.exceptions import MlflowException

        with speaking(self.settings):
            try:
                model = self.client.get_registered_model(self.name)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return {}
                raise
        return {alias: int(number) for alias, number in model.aliases.items()}

    def named(self, alias: str) -> Version | None:
        """The version that an alias names, if it names one."""
        number = self.aliases().get(alias)
        return None if number is None else self.numbered(number)

    def numbered(self, number: int) -> Version:
        """The version with this number.

        Raises:
            RegistryError: there is none.

        """
        for version in self.versions():
            if version.number == number:
                return version
        raise RegistryError(f"{self.name} has no version {number}: `phase3 history` lists them")

    def name_as(self, alias: str, version: Version) -> None:
        """Let an alias name this version, and no other."""
        with speaking(self.settings):
            self.client.set_registered_model_alias(self.name, alias, str(version.number))

    def unname(self, alias: str, version: Version) -> None:
        """Take an alias away from this version, if it has it."""
        if self.aliases().get(alias) == version.number:
            with speaking(self.settings):
                self.client.delete_registered_model_alias(self.name, alias)

    def tag(self, version: Version, **tags: str) -> None:
        """Add to the version's story."""
        with speaking(self.settings):
            for name, value in tags.items():
                self.client.set_model_version_tag(self.name, str(version.number), name, value[:5000])

    def metrics(self, run_id: str) -> dict[str, float]:
        """The newest value of each metric of a run."""
        with speaking(self.settings):
            return dict(self.client.get_run(run_id).data.metrics)

    def run_page(self, version: Version) -> str:
        """Address of the version's run in MLflow's page."""
        with speaking(self.settings):
            experiment = self.client.get_run(version.run_id).info.experiment_id
        return f"{self.settings.mlflow_url}/#/experiments/{experiment}/runs/{version.run_id}"

    def register(self, served: Path, scored: Path, tags: Mapping[str, str], story: str, run_id: str) -> Version:
        """Register the artifact folders under `run_id`; a model that is there already gets no second version.

        The tags come with the version in one request, so that one that was registered by a process which was
        killed right after can be found again. A file lock keeps two processes here from registering one model twice.
        """
        with self._alone(), speaking(self.settings):
            known = self.find(tags["model_version"])
            return known or self._register(served, scored, tags, story, run_id)

    def _register(self, served: Path, scored: Path, tags: Mapping[str, str], story: str, run_id: str) -> Version:
        import mlflow

        uri = self.log_package(served, scored, run_id)
        digests = {"artifact_sha256": digest_of(served), "scored_sha256": digest_of(scored)}
        with redirect_stderr(io.StringIO()):  # where it says what we say too
            made = mlflow.register_model(uri, self.name, tags={**tags, **digests})
        self.client.update_model_version(self.name, made.version, story)
        return Version(int(made.version), run_id, {**tags, **digests})

    def log_package(self, served: Path, scored: Path, run_id: str) -> str:
        """Upload both folders as one MLflow model of the run, and give its address."""
        import mlflow
        import pandas as pd

        resumed = mlflow.start_run(run_id=run_id) if mlflow.active_run() is None else nullcontext()
        with resumed, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather infer the signature from type hints
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=str(CODE),
                artifacts={SERVED: str(served.resolve()), SCORED: str(scored.resolve())},
                signature=signature(),
                input_example=pd.DataFrame([EXAMPLE]).astype(_column_types()),
                pip_requirements=REQUIREMENTS,
            )
        return str(logged.model_uri)

    @contextmanager
    def fetched(self, version: Version, folder: str = SERVED) -> Iterator[Path]:
        """Download a version's folder and check it, before anything in it is read; it is deleted afterwards.

        Raises:
            RegistryError: what the store holds is not what was registered.

        """
        with tempfile.TemporaryDirectory(prefix="phase3-fetched-") as place:
            yield self.fetch(version, Path(place) / "fetched", folder)

    def fetch(self, version: Version, into: Path, folder: str = SERVED) -> Path:
        """The same for good: the checked folder stands at `into` whole, or not at all."""
        import mlflow

        digest = version.tags["artifact_sha256" if folder == SERVED else "scored_sha256"]
        into.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=into.parent))
        try:
            uri = f"models:/{self.name}/{version.number}/artifacts/{folder}"
            with speaking(self.settings):
                got = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(draft)))
            try:
                verify(got, digest)
            except RegistryError as error:
                raise RegistryError(f"{self.name} {version}: {error}") from error
            shutil.rmtree(into, ignore_errors=True)
            got.rename(into)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return into

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with (self.settings.home / "register.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _column_types() -> dict[str, Any]:
    """The signature's types: a whole number in a `double` column would be refused."""
    return {name: float for name, value in EXAMPLE.items() if type(value) is int}

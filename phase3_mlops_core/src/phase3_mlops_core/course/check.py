"""Look at the learner's own pipeline: Spark, MLflow, the sales table and the champion; one line for each."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pyarrow.parquet as pq
from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import CourseError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.training.sales import records_of

from phase3_mlops_core.landing.zone import land_month, list_deliveries
from phase3_mlops_core.preparation.verbs import counts_of, prepare_landed
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.connection import speaking
from phase3_mlops_core.registry.package import ANSWER, CODE, EXAMPLE, verify
from phase3_mlops_core.registry.versions import CHAMPION, SERVED, Registry, Version
from phase3_mlops_core.sales_table.content import content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, read_manifest, table_folder
from phase3_mlops_core.sales_table.reading import read_months, read_table
from phase3_mlops_core.settings import PipelineSettings

UP = "make phase3-up"
LAND = "make land MONTH=2012-01"
PREPARE = ".venv/bin/phase3 prepare"
RETRAIN = ".venv/bin/phase3 retrain --month 2012-02"
HISTORY = ".venv/bin/phase3 history"
HOUSES = 100
# A month of made-up sales: one repeats another, and one has a number of bedrooms that is none.
SOUND = 40


def check_pipeline(settings: PipelineSettings, remote: str | None = None) -> Iterator[Finding]:
    """Look at the servers, the table and the registry of the settings; nothing of the learner's is changed."""
    yield _found("Spark", lambda: spark_prepares(settings, remote), UP)
    manifest = read_manifest(settings.home)
    yield rows_add_up(settings.home, manifest)
    if manifest:
        yield _found("table", lambda: table_is_whole(settings.home, manifest), f"{PREPARE} --afresh")
    else:
        yield from _not_looked_at("a sales table", ["table"])
    yield strangers_are_refused(settings)
    try:
        registry = Registry(settings)
        yield Finding("MLflow", True, f"{settings.mlflow_url} lets {settings.mlflow_user} in with the password")
    except CourseError as error:
        yield Finding("MLflow", False, str(error), UP)
        yield from _not_looked_at("MLflow", ["promotion log", "champion", "stock tools"])
        return
    yield _found("promotion log", lambda: log_agrees(registry), HISTORY)
    yield from champion_prices(registry)


def spark_prepares(settings: PipelineSettings, remote: str | None = None) -> Finding:
    """Whether Spark prepares a small month, in a folder of its own, as the rules say.

    Raises:
        SparkError: it does not answer.

    """
    settings.home.mkdir(parents=True, exist_ok=True)  # Spark must see the folder, and it sees this one
    with tempfile.TemporaryDirectory(prefix=".check-", dir=settings.home) as place:
        land_month(Path(place), "2012-01", small_month())
        done = prepare_landed(settings.model_copy(update={"home": Path(place)}), remote=remote)
        counts = counts_of(done)
    found = tuple(counts[kind] for kind in ("clean", "repeats", "refused"))
    seen = f"{counts['rows']} made-up sales are " + "{} clean, {} repeated, {} refused".format(*found)
    hint = "git diff phase3_mlops_core/src/phase3_mlops_core/preparation   (what did you change?)"
    return Finding("Spark", found == (SOUND, 1, 1), seen, hint)


def small_month() -> pd.DataFrame:
    """Make a month of which one sale repeats another, and one is refused."""
    one = EXAMPLE | {"sale_date": "2012-01-15"}
    names = [f"s{number}" for number in range(SOUND)]
    sound = [one | {"price": 400_000 + 1000 * i, "sale_id": s, "property_id": s} for i, s in enumerate(names)]
    refused = one | {"price": 400_000, "sale_id": "refused", "bedrooms": "three"}
    return pd.DataFrame([*sound, sound[0], refused])


def rows_add_up(home: Path, manifest: Manifest | None) -> Finding:
    """Whether each landed row is in the table or in the quarantine, counted in the files themselves."""
    name, landed = "landing zone", list_deliveries(home)
    if not landed:
        return Finding(name, False, f"nothing has landed in {home}", LAND)
    if manifest is None:
        return Finding(name, None, f"{len(landed)} months have landed, none is prepared yet", PREPARE)
    try:
        raw, clean, repeats, refused = counted(home, manifest)
    except OSError as error:
        return Finding(name, False, f"a file is gone: {error}", f"{PREPARE} --afresh")
    seen = f"{raw:,} raw sales of {len(manifest.in_use)} months = {clean:,} clean + {repeats:,} repeated"
    seen += f" + {refused:,} refused"
    if raw != clean + repeats + refused:
        return Finding(name, False, seen.replace("=", "≠", 1), f"{PREPARE} --afresh")
    if held := [month for month in landed if month <= f"{manifest.as_of:%Y-%m}" and month not in manifest.in_use]:
        return Finding(name, None, f"{seen}; {', '.join(held)} is not in the table", PREPARE)
    if waiting := [month for month in landed if month > f"{manifest.as_of:%Y-%m}"]:
        return Finding(name, None, f"{seen}; {', '.join(waiting)} is not prepared yet", PREPARE)
    return Finding(name, True, seen)


def counted(home: Path, manifest: Manifest) -> tuple[int, int, int, int]:
    """Count the rows of the raw files in use, and of the clean, repeated and refused ones that came of them.

    Raises:
        OSError: a file is gone.

    """
    paths = {each.name: each.path(home) for deliveries in list_deliveries(home).values() for each in deliveries}
    months, table, used = manifest.months.values(), table_folder(home), manifest.in_use.values()
    raw = [paths.get(name, Path(name)) for name in used]
    clean = [table / month.clean.path for month in months if month.clean]
    repeats = [table / month.repeats.path for month in months if month.repeats]
    refused = [table / part.path for name, part in manifest.refused.items() if name in used]
    return _rows(raw), _rows(clean), _rows(repeats), _rows(refused)


def _rows(places: Iterable[Path]) -> int:
    files = [file for place in places for file in (sorted(place.glob("*.parquet")) if place.is_dir() else [place])]
    return sum(pq.read_metadata(file).num_rows for file in files)


def table_is_whole(home: Path, manifest: Manifest) -> Finding:
    """Whether the clean rows of each month have the digest that the manifest states.

    Raises:
        PreparationError: a file is gone.

    """
    months = list(read_months(home, manifest))
    changed = [month for month, rows in months if content_digest([rows]) != manifest.months[month].digest]
    if changed:
        return Finding("table", False, f"the rows of {', '.join(changed)} were changed", f"{PREPARE} --afresh")
    sales = sum(rows.num_rows for _, rows in months)
    return Finding("table", True, f"{sales:,} sales of {len(months)} months, each month as its digest says")


def strangers_are_refused(settings: PipelineSettings) -> Finding:
    """Whether MLflow refuses who gives no password, and who reaches it under a name that it does not know."""
    name, url = "strangers", f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        with httpx.Client(timeout=settings.mlflow_seconds, trust_env=False) as client:
            unnamed = client.get(url).status_code
            elsewhere = client.get(url, headers={"Host": "example.org"}).status_code
    except httpx.TransportError:
        return Finding(name, False, f"nothing answers at {settings.mlflow_url}", UP)
    seen = f"without a password MLflow answers {unnamed}, to the host name example.org {elsewhere}"
    return Finding(name, (unnamed, elsewhere) == (401, 403), seen, f"is it ours?  make phase3-down, then  {UP}")


def log_agrees(registry: Registry) -> Finding:
    """Whether the promotion log and the registry's aliases name the same champion.

    Raises:
        RegistryError: MLflow does not answer.

    """
    name, log, aliases = "promotion log", promotions.read(registry.settings.home), registry.aliases()
    if wrong := promotions.disagreements(log, aliases):
        return Finding(name, False, wrong[0], HISTORY)
    if CHAMPION not in aliases:
        return Finding(name, None, "there is no champion yet", RETRAIN)
    return Finding(name, True, f"{len(log)} decisions; log and registry name version {aliases[CHAMPION]} champion")


def champion_prices(registry: Registry) -> Iterator[Finding]:
    """Whether the champion is what was registered, can be loaded, and prices as MLflow's own tools do."""
    names, version = ("champion", "stock tools"), None
    try:
        version = registry.named(CHAMPION)
        if version is None:
            yield from _not_looked_at("a champion", names)
            return
        with registry.fetched(version) as folder:
            model = load_model(folder)
        yield Finding("champion", True, f"{version} is what was registered, and can be loaded")
    except CourseError as error:
        yield Finding("champion", False, str(error), HISTORY)
        yield from _not_looked_at("the champion's files", names[1:])
        return
    yield _found("stock tools", lambda: stock_tools_agree(registry, version, model), HISTORY)


def stock_tools_agree(registry: Registry, version: Version, model: HouseModel) -> Finding:
    """Whether `mlflow.pyfunc` prices houses to the cent as our own code does.

    A model that MLflow loads may run code. So the champion's is compared with ours before it is run.

    Raises:
        RegistryError: MLflow does not answer.

    """
    import mlflow

    name, records = "stock tools", _records(registry.settings.home)
    with tempfile.TemporaryDirectory(prefix="phase3-check-") as place, speaking(registry.settings):
        uri = f"models:/{registry.name}/{version.number}"
        package = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place))
        verify(package / "artifacts" / SERVED, version.tags["artifact_sha256"])
        if not runs_our_code(package):
            return Finding(name, None, f"{version} holds other code than {CODE.name} here: it was not run", RETRAIN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather have type hints than our signature
            answers = mlflow.pyfunc.load_model(str(package)).predict(_frame(records))
    ours = [model.estimate([House(**record)])[0] for record in records]
    expected = [(e.price_usd, e.interval_usd.low, e.interval_usd.high) for e in ours]
    apart = sum(a != b for a, b in zip(answers[list(ANSWER)].itertuples(index=False, name=None), expected, strict=True))
    seen = f"mlflow.pyfunc gives {len(records) - apart} of {len(records)} houses our price and interval, to the cent"
    return Finding(name, not apart, seen, RETRAIN)


def runs_our_code(package: Path) -> bool:
    """Whether a downloaded MLflow model loads our file of code, and no other file and no pickle."""
    from mlflow.models import Model

    flavor: dict[str, Any] = Model.load(str(package)).flavors.get("python_function", {})
    file = package / Path(flavor.get("model_code_path") or "nothing").name
    return (
        flavor.get("loader_module") == "mlflow.pyfunc.loaders.code_model"
        and not flavor.get("python_model")
        and not flavor.get("code")
        and file.is_file()
        and file.read_bytes() == CODE.read_bytes()
    )


def _records(home: Path) -> list[dict[str, Any]]:
    """The newest sales of the table, as houses; without a table the one of the input example."""
    if read_manifest(home) is None:
        return [EXAMPLE]
    return [dict(record) for record in records_of(read_table(home).frame.tail(HOUSES))]


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(records)
    return frame.astype({name: float for name in frame if frame[name].dtype.kind in "iu"})


def _found(name: str, look: Callable[[], Finding], hint: str) -> Finding:
    try:
        return look()
    except CourseError as error:
        return Finding(name, False, str(error), hint)


def _not_looked_at(needs: str, names: Iterable[str]) -> Iterator[Finding]:
    return (Finding(name, None, f"not looked at: it needs {needs}") for name in names)

"""Look at the learner's own pipeline: Spark, MLflow, the sales table and the champion; one line for each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import CourseError

from phase3_mlops_core.course.check_registry import (
    HISTORY,
    UP,
    champion_prices,
    found,
    log_agrees,
    not_looked_at,
    strangers_are_refused,
)
from phase3_mlops_core.landing.zone import land_month, list_deliveries
from phase3_mlops_core.preparation.verbs import counts_of, prepare_landed
from phase3_mlops_core.registry.package import EXAMPLE
from phase3_mlops_core.registry.versions import Registry
from phase3_mlops_core.sales_table.content import content_digest
from phase3_mlops_core.sales_table.manifest import Manifest, read_manifest, table_folder
from phase3_mlops_core.sales_table.reading import read_months
from phase3_mlops_core.settings import PipelineSettings

LAND = "make land MONTH=2012-01"
PREPARE = ".venv/bin/phase3 prepare"
# A month of made-up sales: one repeats another, and one has a number of bedrooms that is none.
SOUND = 40


def check_pipeline(settings: PipelineSettings, remote: str | None = None) -> Iterator[Finding]:
    """Look at the servers, the table and the registry of the settings; nothing of the learner's is changed."""
    yield found("Spark", lambda: spark_prepares(settings, remote), UP)
    manifest = read_manifest(settings.home)
    yield rows_add_up(settings.home, manifest)
    if manifest:
        yield found("table", lambda: table_is_whole(settings.home, manifest), f"{PREPARE} --afresh")
    else:
        yield from not_looked_at("a sales table", ["table"])
    yield strangers_are_refused(settings)
    try:
        registry = Registry(settings)
        yield Finding("MLflow", True, f"{settings.mlflow_url} lets {settings.mlflow_user} in with the password")
    except CourseError as error:
        yield Finding("MLflow", False, str(error), UP)
        yield from not_looked_at("MLflow", ["promotion log", "champion", "stock tools"])
        return
    yield found("promotion log", lambda: log_agrees(registry), HISTORY)
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
    sorts = tuple(counts[kind] for kind in ("clean", "repeats", "refused"))
    seen = f"{counts['rows']} made-up sales are " + "{} clean, {} repeated, {} refused".format(*sorts)
    hint = "git diff phase3_mlops_core/src/phase3_mlops_core/preparation   (what did you change?)"
    return Finding("Spark", sorts == (SOUND, 1, 1), seen, hint)


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

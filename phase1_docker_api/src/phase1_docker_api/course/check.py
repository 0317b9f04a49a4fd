"""Look at the learner's own running phase, and say a line for each thing whether it holds and what helps if not."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import ArtifactError, CourseError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import PART_ROWS, Estimate, House
from phase1_docker_api.training.sales import file_digest, load_clean_sales, records_of, today

JSON = {"Content-Type": "application/json"}
SEED_REQUEST = {"land_area_sqft": 5000, "bedrooms": 3}
HELD_OUT = 200
# What `make phase1-up` writes once the service is ready.
STARTED = Path(".run/phase1_docker_api/state.json")
CODE = Path(__file__).parents[1]
# What chance and a slowly moving market do to the coverage of a quarter's sales.
COVERAGE_TOLERANCE = 0.04
START = "make phase1-up   (on another port: make phase1-check PORT=5001)"
RESTART = "make phase1-down phase1-up"
RETRAIN = f".venv/bin/phase1 train --until 2011-12-31 && {RESTART}"
WRONG: dict[str, tuple[Any, str]] = {
    "a text for a number": ({**SEED_REQUEST, "bedrooms": "three"}, "bedrooms"),
    "a missing field": ({"bedrooms": 3}, "land_area_sqft"),
    "a misspelt field": ({**SEED_REQUEST, "bathroms": 2}, "bathroms"),
    "a living area in m²": ({**SEED_REQUEST, "living_area_sqft": 170}, "living_area_sqft"),
}


def check_phase(url: str, model_path: Path, sales_file: Path, image: str) -> Iterator[Finding]:
    """Look at the service at `url`, the model it should serve, and the image; one finding after the other."""
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        ready = service_ready(client)
        yield ready
        if ready.holds:
            yield from changed_since(STARTED, client.base_url.port)
            yield seed_answered(client)
            yield errors_explained(client)
            yield from compared_with_offline(client, model_path, sales_file)
        else:
            names = ("seed request", "errors", "served is offline", "interval")
            yield from (Finding(name, None, "not looked at: it needs the service") for name in names)
    yield image_runs(image)


def service_ready(client: httpx.Client) -> Finding:
    """Whether a service answers there and says that it is ready."""
    name = "service"
    try:
        answer = client.get("/readyz", timeout=5)
        served = answer.json()["model_version"] if answer.status_code == httpx.codes.OK else ""
    except httpx.TransportError:
        return Finding(name, False, f"nothing answers at {client.base_url}", START)
    except (ValueError, KeyError, TypeError):
        return Finding(name, False, f"another program answers at {client.base_url}", START)
    if not served:
        return Finding(name, False, f"/readyz says {answer.status_code}", "make phase1-logs")
    return Finding(name, True, f"ready at {client.base_url}, serves {served}")


def changed_since(started: Path, port: int | None) -> Iterator[Finding]:
    """Name the code that is newer than the service on this port, if make started it there: that code does not run."""
    try:
        if port not in json.loads(started.read_text())["ports"].values():
            return
    except (OSError, ValueError, KeyError):
        return
    newest = max(CODE.rglob("*.py"), key=lambda path: path.stat().st_mtime)
    if newest.stat().st_mtime > started.stat().st_mtime:
        seen = f"the service is older than {newest.name} in your folder: what is looked at is the code from before"
        yield Finding("code", None, seen, RESTART)


def seed_answered(client: httpx.Client) -> Finding:
    """Whether the smallest request gets a price inside its interval."""
    answer = client.post("/predict", json=SEED_REQUEST)
    if answer.status_code != httpx.codes.OK:
        return Finding("seed request", False, f"answered with {answer.status_code}", "make phase1-logs")
    estimate = Estimate.model_validate_json(answer.content)
    low, price, high = estimate.interval_usd.low, estimate.price_usd, estimate.interval_usd.high
    seen = f"{price:,.0f}, {estimate.interval_usd.level:.0%} between {low:,.0f} and {high:,.0f}"
    return Finding("seed request", low <= price <= high, seen, RESTART)


def errors_explained(client: httpx.Client) -> Finding:
    """Whether each wrong body gets 422 that names the field and gives a hint."""
    for what, (body, field) in WRONG.items():
        answer = client.post("/predict", json=body)
        problems = answer.json().get("problems", []) if answer.status_code == 422 else []
        if not any(p["field"] == field and p["hint"] for p in problems):
            seen = f"{what} got {answer.status_code} without the field {field} and a hint"
            return Finding("errors", False, seen, "git diff phase1_docker_api/src   (what did you change?)")
    return Finding("errors", True, f"{len(WRONG)} wrong requests got 422, each with its field and a hint")


def compared_with_offline(client: httpx.Client, model_path: Path, sales_file: Path) -> Iterator[Finding]:
    """Whether the service prices as its model does without a service, and whether its intervals cover."""
    same, covers = "served is offline", "interval"
    try:
        model = load_model(model_path)
        sales = _sales_of(model, sales_file)
    except CourseError as error:
        hint = RETRAIN if isinstance(error, ArtifactError) else ".venv/bin/phase1 check --sales FILE --model FOLDER"
        yield from (Finding(name, False, str(error), hint) for name in (same, covers))
        return
    served = client.get("/readyz").json()["model_version"]
    if served != model.card.model_version:
        seen = f"the service has {served}, {model_path} is {model.card.model_version}"
        yield from (Finding(name, False, seen, RESTART) for name in (same, covers))
        return
    yield served_equals_offline(client, model, sales)
    yield interval_covers(client, model, sales)


def served_equals_offline(client: httpx.Client, model: HouseModel, sales: pd.DataFrame) -> Finding:
    """Whether prices and intervals of 200 sales are the same, to the cent, with and without the service."""
    later = _after_training(model, sales)
    rows = later if len(later) >= HELD_OUT else sales
    houses = _houses(rows.iloc[:: max(1, len(rows) // HELD_OUT)].head(HELD_OUT))
    served = [_ask(client, house) for house in houses]
    apart = sum(s != o for s, o in zip(served, model.estimate(houses), strict=True))
    kind = "held-out sales" if rows is later else "sales (the model has seen them: none are later)"
    if apart:
        return Finding("served is offline", False, f"{apart} of {len(houses)} {kind} differ", RESTART)
    return Finding("served is offline", True, f"{len(houses)} {kind}: same price and interval, to the cent")


def interval_covers(client: httpx.Client, model: HouseModel, sales: pd.DataFrame) -> Finding:
    """Whether the intervals hold the share they promise of the sales in the three months after training."""
    level = model.card.interval_level
    later = _after_training(model, sales)
    soon = later[later["sale_date"] <= _months_after(model.card.trained_until, 3)]
    if len(soon) < HELD_OUT:
        seen = f"only {len(soon)} sales in the three months after {model.card.trained_until}, where training ends"
        return Finding("interval", None, seen, RETRAIN)
    houses = [house.model_dump(exclude_none=True) for house in _houses(soon)]
    parts = [houses[start : start + PART_ROWS] for start in range(0, len(houses), PART_ROWS)]
    answers = [client.post("/predict/batch", json={"houses": part}).json() for part in parts]
    intervals = [estimate["interval_usd"] for answer in answers for estimate in answer["estimates"]]
    inside = sum(i["low"] <= paid <= i["high"] for i, paid in zip(intervals, soon["price"], strict=True))
    seen = f"{inside / len(soon):.1%} of the {len(soon)} sales in the three months after training, {level:.0%} promised"
    return Finding(
        "interval", abs(inside / len(soon) - level) <= COVERAGE_TOLERANCE, seen, "docs/phase1/6-honest-intervals.md"
    )


def image_runs(image: str) -> Finding:
    """Whether the image answers when run read-only and without capabilities; None where there is no Docker."""
    name = "image"
    if not shutil.which("docker"):
        return Finding(name, None, "no Docker here; nothing else needs it", "docs/phase1/4-docker.md")
    if _docker("info").returncode:
        return Finding(name, None, "Docker is installed but its engine does not answer", "docker info")
    if _docker("image", "inspect", image).returncode:
        return Finding(name, False, f"there is no image {image} yet", "make phase1-image")
    with _container(image) as (url, words):
        if not url:
            return Finding(name, False, f"{image} did not start: {words}", f"docker run --rm --read-only {image}")
        seen = _first_answer(url)
        told = f"{image}, run in a container just for this, {seen}"
    hint = f"docker run --rm --read-only --publish 127.0.0.1:5001:5000 {image}"
    return Finding(name, seen.startswith("answers"), told, hint)


@contextmanager
def _container(image: str) -> Iterator[tuple[str, str]]:
    """Run the image on a free port of loopback; give its address, or nothing and Docker's words."""
    guarded = ("--read-only", "--cap-drop", "ALL", "--user", "12345:12345")
    started = _docker("run", "--detach", "--rm", *guarded, "--publish", "127.0.0.1::5000", image)
    if started.returncode:
        yield "", started.stderr.strip().splitlines()[-1] if started.stderr.strip() else "no word"
        return
    container = started.stdout.strip()
    try:
        published = _docker("port", container, "5000").stdout.split()
        yield (f"http://{published[0]}", "") if published else ("", "it ended at once")
    finally:
        _docker("rm", "--force", container)


def _first_answer(url: str, patience_s: float = 30) -> str:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            answer = httpx.post(f"{url}/predict", json=SEED_REQUEST, timeout=5, trust_env=False)
            if answer.status_code == httpx.codes.OK:
                return "answers, read-only, without capabilities, as user 12345"
            return f"runs, but answered with {answer.status_code}"
        except httpx.TransportError:
            time.sleep(0.2)
    return f"runs, but did not answer within {patience_s:.0f} s"


def _docker(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=120)  # noqa: S603, S607


def _sales_of(model: HouseModel, sales_file: Path) -> pd.DataFrame:
    """The clean sales of the file the model was made of; those of another file would prove nothing."""
    clean = load_clean_sales(sales_file, today()).clean
    if file_digest(sales_file) != model.card.data_sha256:
        raise CourseError(f"{model.card.model_version} was not trained on {sales_file} as it is now")
    return clean


def _after_training(model: HouseModel, sales: pd.DataFrame) -> pd.DataFrame:
    return sales[sales["sale_date"] > pd.Timestamp(model.card.trained_until)]


def _months_after(day: dt.date, months: int) -> pd.Timestamp:
    return pd.Timestamp(day) + pd.DateOffset(days=1, months=months) - pd.Timedelta(days=1)


def _houses(sales: pd.DataFrame) -> Sequence[House]:
    return [House(**record) for record in records_of(sales)]


def _ask(client: httpx.Client, house: House) -> Estimate | None:
    answer = client.post("/predict", content=house.model_dump_json(exclude_none=True), headers=JSON)
    return Estimate.model_validate_json(answer.content) if answer.status_code == httpx.codes.OK else None

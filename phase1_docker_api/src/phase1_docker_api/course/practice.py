"""The six exercises: what each asks for, whether the learner's code does it, and two hints, the second plainer."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner
from pydantic import ValidationError

from phase1_docker_api.course.check import RESTART, Finding
from phase1_docker_api.errors import CourseError, RefusalError
from phase1_docker_api.service.launch import free_port

MY_TEST = Path("phase1_docker_api/tests/test_mine.py")
LINEAR_GOAL_PCT = 11.5
DONE = ""
# Each is a way to get the interval's width wrong that no crash betrays.
WRONG_QUANTILES = {
    "takes the median": "sorted(errors)[len(errors) // 2]",
    "forgets the + 1": "sorted(errors)[math.ceil(len(errors) * level) - 1]",
    "takes the largest of too few": "sorted(errors)[min(math.ceil((len(errors) + 1) * level), len(errors)) - 1]",
}


@dataclass(frozen=True)
class Exercise:
    """What to do, where it is explained, what is still missing (nothing: done) at a service's address, and hints."""

    title: str
    lesson: str
    missing: Callable[[str], str]
    hints: tuple[str, str]

    def look(self, number: int, url: str, program: str = "phase1") -> Finding:
        """Look whether it is done; code that fails in any way is a finding too, as it is the learner's."""
        try:
            missing = self.missing(url)
        except CourseError as error:
            missing = str(error)
        except Exception as error:  # half-done code may raise anything
            missing = f"your code raised {type(error).__name__}: {error}"
        hint = f".venv/bin/{program} check --exercise {number} --hint"
        return Finding(f"exercise {number}", not missing, f"{self.title}{missing and ': '}{missing}", hint)


def bathrooms_come_in_quarters(url: str) -> str:
    """1.33 bathrooms are refused, alone and in both forms of a batch; 2.25 are not."""
    from phase1_docker_api.service.requests import parse_house, parse_houses

    def forms(bathrooms: float) -> Iterator[tuple[str, Callable[[], Any]]]:
        house = {"land_area_sqft": 5000, "bedrooms": 3, "bathrooms": bathrooms}
        yield "/predict", lambda: parse_house(json.dumps(house).encode())
        yield "a batch of houses", lambda: parse_houses(json.dumps({"houses": [house]}).encode())
        columns = {name: [value] for name, value in house.items()}
        yield "a batch of columns", lambda: parse_houses(json.dumps({"columns": columns}).encode())

    for bathrooms, allowed in ((1.33, False), (2.1, False), (0.75, True), (2.25, True), (3, True)):
        for form, read in forms(bathrooms):
            try:
                read()
                refused = []
            except RefusalError as error:
                refused = [p.field for p in error.problems]
            except ValidationError:
                return f"{form} with {bathrooms} bathrooms would be answered with 500, not 422"
            if allowed and refused:
                return f"{form} refuses {bathrooms} bathrooms, which is a whole number of quarters"
            if not allowed and not any("bathrooms" in field for field in refused):
                return f"{form} still takes {bathrooms} bathrooms"
    return DONE


def route_version(url: str) -> str:
    """The running service tells at /version what code and what model it runs, and documents it."""
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        try:
            answer, ready = client.get("/version"), client.get("/readyz")
        except httpx.TransportError:
            return f"nothing answers at {url}: make phase1-up"
        if answer.status_code != httpx.codes.OK:
            return f"GET /version got {answer.status_code}. Written, but the old process still runs? {RESTART}"
        wanted = {"version": version("phase1-docker-api"), "model_version": ready.json()["model_version"]}
        if answer.json() != wanted:
            return f"it answered {answer.text[:100]}, not {json.dumps(wanted)}"
        return DONE if "/version" in client.get("/openapi.json").json()["paths"] else "it is not in /openapi.json"


def my_test_guards_the_quantile(url: str) -> str:
    """The learner's test passes on the right code, fails on three wrong ones, and is committed."""
    if not MY_TEST.is_file():
        return f"there is no {MY_TEST} yet"
    if find_spec("pytest") is None:
        return "pytest is not installed: make .venv/.installed-dev"
    with tempfile.TemporaryDirectory() as folder:
        if not _my_test_passes(Path(folder), "conformal_quantile(errors, level)"):
            return f"{MY_TEST} fails on the right code (or holds no test): .venv/bin/python -m pytest {MY_TEST}"
        for what, code in WRONG_QUANTILES.items():
            if _my_test_passes(Path(folder), f"float({code})"):
                return f"it does not notice a quantile that {what}"
    committed = _git("log", "--oneline", "-1") and not _git("status", "--porcelain")
    return DONE if committed else "it notices all three; now commit it, on a branch"


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words, "--", MY_TEST], capture_output=True, check=False).stdout  # noqa: S603, S607


def _my_test_passes(folder: Path, code: str) -> bool:
    """Run the learner's test with another quantile in the place of ours; pytest's code 5, no test, is a failure."""
    (folder / "wrong_quantile.py").write_text(
        "import math\nimport phase1_docker_api.model.house_model as model\n"
        "from phase1_docker_api.model.house_model import conformal_quantile\n"
        f"model.conformal_quantile = lambda errors, level: {code}\n"
    )
    options = ["-q", "-p", "no:cacheprovider", "-p", "wrong_quantile", "-o", f"pythonpath={folder}"]
    command = [sys.executable, "-m", "pytest", *options, str(MY_TEST)]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0  # noqa: S603


def verb_health(url: str) -> str:
    """`phase1 health` ends with 0 when the service is ready, and with 1 when it is not or is not there."""
    from phase1_docker_api.cli import cli

    if "health" not in cli.commands:
        return "there is no verb `phase1 health` yet"
    for status, code in ((200, 0), (503, 1)):
        with _answering(status) as port:
            if problem := _health_problem(port, code, f"/readyz says {status}"):
                return problem
    return _health_problem(free_port(), 1, "nothing listens")


def _health_problem(port: int, code: int, when: str) -> str:
    command = [sys.executable, "-m", "phase1_docker_api", "health", "--port", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)  # noqa: S603
    if "Traceback" in done.stderr:
        return f"when {when} it ends with a stack trace: {done.stderr.strip().splitlines()[-1]}"
    return DONE if done.returncode == code else f"when {when} it ends with {done.returncode}, not {code}"


@contextmanager
def _answering(status: int) -> Iterator[int]:
    """A tiny service whose /readyz answers with `status`; gives its port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()


def linear_is_better(url: str) -> str:
    """The linear estimator is off by 11.5 % at most in 2012, and can be saved and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        card = _train(Path(folder))
    off = next(s["median_abs_error_pct"] for s in card["scores"] if (s["period"], s["request"]) == ("2012", "complete"))
    return DONE if off <= LINEAR_GOAL_PCT else f"it is off by {off:.1f} %"


def level_can_be_chosen(url: str) -> str:
    """`phase1 train --interval-level 0.8` gives intervals that promise 80 %, and cover about that."""
    from phase1_docker_api.cli import cli

    if not any("--interval-level" in parameter.opts for parameter in cli.commands["train"].params):
        return "`phase1 train` has no option --interval-level yet"
    with tempfile.TemporaryDirectory() as folder:
        card = _train(Path(folder), "--interval-level", "0.8")
    if card["interval_level"] != 0.8:
        return f"with --interval-level 0.8 the card says {card['interval_level']}"
    soon = [s for s in card["scores"] if s["period"].startswith("2012-") and s["request"] == "complete"]
    covered = sum(s["coverage"] * s["sales"] for s in soon) / sum(s["sales"] for s in soon)
    return DONE if abs(covered - 0.8) < 0.06 else f"intervals that promise 80 % cover {covered:.0%} of the next quarter"


def _train(store: Path, *options: str) -> dict[str, Any]:
    """Train the linear estimator as the command line does, load what was saved, and give its card."""
    from phase1_docker_api.cli import cli
    from phase1_docker_api.model.artifact import load_model

    words = ["train", "--estimator", "linear", "--until", "2011-12-31", "--store", str(store), "--json", *options]
    done = CliRunner().invoke(cli, words)
    if done.exit_code:
        raise RuntimeError(done.stderr.strip() or repr(done.exception))
    load_model(store / "current")
    card: dict[str, Any] = json.loads(done.stdout)
    return card


EXERCISES = {
    1: Exercise(
        "bathrooms come in quarters",
        "1-python-and-bash",
        bathrooms_come_in_quarters,
        (
            "Every limit of every field stands in one file, schemas.py, for sales files and requests alike. "
            "Look at how Bathrooms gets its limits, and at what else pydantic's Field can demand of a number.",
            "In schemas.py add multiple_of=0.25 to the Field of Bathrooms. Why there and not in a validator of "
            "House? Because a batch of columns is built from the same type.",
        ),
    ),
    2: Exercise(
        "GET /version",
        "3-linux",
        route_version,
        (
            "Read healthz in api.py: a route is a function under @router.get, and its return type is its "
            'documentation. The answer wanted is {"version": "0.1.0", "model_version": "trees-…"}.',
            'In api.py: a BaseModel with version and model_version, and @router.get("/version", '
            'tags=["operations"]) on a function that returns it with version("phase1-docker-api"). Then make '
            "phase1-down phase1-up: a process keeps the code it was started with. And docs/phase1/reference.md "
            "lists all routes.",
        ),
    ),
    3: Exercise(
        "a test that fails on three wrong quantiles",
        "2-git",
        my_test_guards_the_quantile,
        (
            f"Write {MY_TEST}: a function whose name starts with test_ and that asserts what conformal_quantile "
            "(model.py) gives for errors you can order in your head. Its docstring says which one it should be.",
            "With the errors 1 to 10 and the level 0.9 the rank is ceil(11 · 0.9) = 10; with 1 to 4 it is 5 of "
            '4, so the answer is infinite, float("inf"). Assert both. Then git switch -c my-test, git add, git '
            "commit.",
        ),
    ),
    4: Exercise(
        "`phase1 health`, for a container's HEALTHCHECK",
        "4-docker",
        verb_health,
        (
            "A verb is a function under @cli.command() in cli.py. It asks /readyz on 127.0.0.1 and says what it "
            "found by its exit code: raise CourseError, and the group Verbs ends with a message and code 1.",
            '@cli.command() with @click.option("--port", type=int, default=5000, envvar="HOUSE_PORT", help=…). '
            'Inside: urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2); it raises an OSError '
            "when nothing listens and when the status is 503: raise CourseError(…) from that error.",
        ),
    ),
    5: Exercise(
        f"`linear` off by at most {LINEAR_GOAL_PCT} % in 2012",
        "5-trees-and-leaks",
        linear_is_better,
        (
            "The linear model gives each field one factor, whatever the other fields say. In truth a grade is "
            "worth more in a big house. Which step of scikit-learn makes products of columns?",
            'In linear (training/estimators.py), between scale and log_price: ("products", PolynomialFeatures(2, '
            "interaction_only=True)), imported from sklearn.preprocessing. training/convert.py turns it into what is "
            "served already.",
        ),
    ),
    6: Exercise(
        "`phase1 train --interval-level`",
        "6-honest-intervals",
        level_can_be_chosen,
        (
            "The level is a constant in train.py, and ends in the card: whatever reads the card follows. A plan "
            "of a training is a TrainingPlan; an option of `train` becomes one of its fields.",
            "Give TrainingPlan a field interval_level: float = INTERVAL_LEVEL and let _card use "
            'plan.interval_level. In cli.py: @click.option("--interval-level", type=click.FloatRange(0, 1, '
            "min_open=True, max_open=True), default=0.9, help=…), an argument of train of that name, and "
            "interval_level=interval_level in TrainingPlan(…).",
        ),
    ),
}

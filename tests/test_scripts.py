"""A broken `make` is the first thing a learner would meet, so its scripts are tried on tiny services."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import doctor
import ports
import pytest
import stack

ROOT = Path(__file__).resolve().parent.parent
SERVICE = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ready")
print("the service starts", flush=True)
http.server.HTTPServer(("127.0.0.1", int(os.environ["HOUSE_PORT"])), Handler).serve_forever()
"""


class Course:
    """A repository with one tiny phase, in a folder with a space in its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.state = root / ".run/phase1_try/state.json"
        (root / "phase1_try").mkdir(parents=True)
        (root / "ports.env").write_text(f"# the table\nPHASE1_API_PORT={self.port}\n")
        (root / "phase1_try/Procfile").write_text("api: tiny serve\n")
        self.command = root / ".venv/bin/tiny"
        self.command.parent.mkdir(parents=True)
        self.runs(SERVICE)

    def runs(self, program: str) -> None:
        self.command.with_suffix(".py").write_text(program)
        self.command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$0.py"\n')
        self.command.chmod(0o755)

    def stack(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.endswith("PORT")}
        return subprocess.run(
            [sys.executable, ROOT / "scripts/stack.py", "--root", self.root, *arguments],
            env=clean | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as response:
                return response.status == 200
        except OSError:
            return False

    def supervisor(self) -> int:
        return json.loads(self.state.read_text())["processes"][0]["pid"]


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    course = Course(tmp_path / "the course")
    yield course
    course.stack("down", "phase1_try")


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_up_returns_when_the_service_answers_and_down_stops_it(course: Course) -> None:
    up = course.stack("up", "phase1_try")

    assert up.returncode == 0, up.stderr
    assert course.answers()
    assert f"127.0.0.1:{course.port}/predict" in up.stdout
    assert os.getsid(course.supervisor()) == course.supervisor(), "it outlives the terminal"

    asked = time.monotonic()
    down = course.stack("down", "phase1_try")

    assert "is stopped" in down.stdout
    assert time.monotonic() - asked < stack.STOP_SECONDS / 2, "it stopped when asked, not when killed"
    assert not course.answers()


def test_up_twice_leaves_the_first_running_on_whatever_port(course: Course) -> None:
    course.stack("up", "phase1_try", PORT=str(free_port()))
    first = course.supervisor()

    second = course.stack("up", "phase1_try")

    assert second.returncode == 0
    assert "already running" in second.stdout
    assert course.supervisor() == first


def test_up_on_another_port_says_where_the_first_runs_instead_of_claiming_success(course: Course) -> None:
    course.stack("up", "phase1_try")

    second = course.stack("up", "phase1_try", PHASE1_API_PORT=str(free_port()))

    assert second.returncode == 1
    assert f"127.0.0.1:{course.port}" in second.stderr
    assert "make phase1-down" in second.stderr


def test_the_ports_are_those_it_was_started_on_while_it_runs_and_who_names_one_is_obeyed(course: Course) -> None:
    started_on = free_port()
    course.stack("up", "phase1_try", PORT=str(started_on))

    running = course.stack("ports", "phase1_try").stdout
    named = course.stack("ports", "phase1_try", PHASE1_API_PORT="6001").stdout
    course.stack("down", "phase1_try")
    stopped = course.stack("ports", "phase1_try").stdout

    assert running == f"PHASE1_API_PORT={started_on}\n"
    assert named == "PHASE1_API_PORT=6001\n"
    assert stopped == f"PHASE1_API_PORT={course.port}\n"


@pytest.mark.parametrize("target", ["phase1-check", "phase2-check", "rollout"])
def test_make_looks_at_the_ports_of_what_runs(target: str) -> None:
    command = ["make", "--dry-run", target, "RUNTIME=process"]
    planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert "ports=$(" in planned.stdout
    assert f"scripts/stack.py ports {'phase1_docker_api' if '1' in target else 'phase2_k8s_cicd'}" in planned.stdout


@pytest.mark.parametrize("target", ["phase2-up", "phase2-check", "phase2-logs", "phase2-down", "rollout", "rollback"])
def test_a_runtime_that_phase_2_does_not_have_is_named(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target, "RUNTIME=foo"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode
    assert "RUNTIME=foo: phase 2 runs as k8s or process" in done.stderr


def test_the_logs_of_what_was_stopped_are_not_taken_for_those_of_a_service(course: Course) -> None:
    course.stack("up", "phase1_try")
    running = course.stack("logs", "phase1_try", "--no-follow")
    course.stack("down", "phase1_try")
    stopped = course.stack("logs", "phase1_try")

    assert "the service starts" in running.stdout
    assert running.stderr == ""
    assert "the service starts" in stopped.stdout
    assert "is not running" in stopped.stderr


def test_down_is_content_when_nothing_runs(course: Course) -> None:
    down = course.stack("down", "phase1_try")

    assert down.returncode == 0
    assert "was not running" in down.stdout


def test_a_service_that_dies_at_start_shows_its_last_words(course: Course) -> None:
    course.runs("raise SystemExit('the model is missing')")

    up = course.stack("up", "phase1_try")

    assert up.returncode == 1
    assert "died at start" in up.stderr
    assert "the model is missing" in up.stderr
    assert not course.state.exists()


def test_a_service_that_never_gets_ready_is_stopped_again(course: Course) -> None:
    course.runs("import time; time.sleep(60)")

    up = course.stack("up", "phase1_try", READY_SECONDS="1")

    assert up.returncode == 1
    assert "not ready after 1 s" in up.stderr
    assert not course.state.exists()


def test_a_port_held_by_another_program_is_named_with_a_way_out(course: Course, stranger: socket.socket) -> None:
    port = stranger.getsockname()[1]

    up = course.stack("up", "phase1_try", PORT=str(port))

    assert up.returncode == 1
    assert f"port {port} (PHASE1_API_PORT) is held by another program" in up.stderr
    assert re.search(r" PORT=\d+ make", up.stderr)


def test_a_port_that_is_proposed_is_free_and_no_other_services(stranger: socket.socket) -> None:
    held = stranger.getsockname()[1]

    advice = ports.how_to_free("PHASE2_A_PORT", held, "Linux", {"PHASE2_A_PORT": held, "PHASE2_B_PORT": held + 1})
    beside = ports.how_to_free("PHASE2_A_PORT", held - 1, "Linux", {"PHASE2_A_PORT": held - 1})

    assert re.search(r"PHASE2_A_PORT=\d+ make", advice)
    assert f"PHASE2_A_PORT={held + 1} " not in advice
    assert f"PHASE2_A_PORT={held} " not in beside


def test_a_stranger_with_a_remembered_pid_is_left_alone(course: Course) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    course.state.parent.mkdir(parents=True)
    remembered = {"pid": stranger.pid, "started_at": "long ago"}
    course.state.write_text(json.dumps({"processes": [remembered], "ports": {"PHASE1_API_PORT": course.port}}))

    down = course.stack("down", "phase1_try")
    up = course.stack("up", "phase1_try")

    assert down.returncode == up.returncode == 0
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_down_also_stops_what_a_killed_supervisor_left_behind(course: Course) -> None:
    course.stack("up", "phase1_try")
    os.kill(course.supervisor(), signal.SIGKILL)
    assert course.answers()

    course.stack("down", "phase1_try")

    assert not course.answers()


def test_ctrl_c_ends_the_logs_and_nothing_else(course: Course) -> None:
    course.stack("up", "phase1_try")
    seen = course.root / "seen"
    command = [sys.executable, ROOT / "scripts/stack.py", "--root", course.root, "logs", "phase1_try"]
    with seen.open("w") as output, subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as logs:
        deadline = time.monotonic() + 10
        while "the service starts" not in seen.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)

        logs.send_signal(signal.SIGINT)

    assert logs.returncode == 0
    assert "the service starts" in seen.read_text()
    assert "Traceback" not in seen.read_text()
    assert course.answers()


def test_the_children_of_children_are_found() -> None:
    nested = "sh -c 'sleep 60; true'; true"  # the `true` keeps each shell from becoming its command
    with subprocess.Popen(["sh", "-c", nested]) as child:
        deadline = time.monotonic() + 10
        while len(found := stack.descendants([child.pid])) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)

        assert len(found) == 2
        for process in found:
            assert process.is_alive()
            process.send(signal.SIGKILL)
        assert stack.wait_until_gone(found, 5) == []


def test_the_doctor_tells_a_taken_port_from_a_free_one(stranger: socket.socket) -> None:
    taken = stranger.getsockname()[1]

    assert doctor.check_port("PHASE1_API_PORT", free_port(), {}).mark == "✓"
    assert doctor.check_port("PHASE1_API_PORT", taken, {}, ours=True).mark == "✓"
    finding = doctor.check_port("PHASE1_API_PORT", taken, {})
    assert finding.mark == "✗"
    assert re.search(r" PORT=\d+ make", finding.remedy)


def test_the_doctor_knows_the_service_that_is_ours_on_whatever_port(course: Course) -> None:
    port = free_port()
    course.stack("up", "phase1_try", PORT=str(port))

    [finding] = doctor.check_ports(course.root)

    assert finding.mark == "✓"
    assert f"port {port} is in use by our own" in finding.text


def test_the_doctor_fails_for_a_port_of_the_phase_asked_for_alone(course: Course, stranger: socket.socket) -> None:
    taken = stranger.getsockname()[1]
    (course.root / "ports.env").write_text(f"PHASE1_API_PORT={course.port}\nREHEARSAL_REGISTRY_PORT={taken}\n")

    first, note = doctor.check_ports(course.root)
    [fault] = doctor.check_ports(course.root, "rehearsal")

    assert (first.mark, note.mark, fault.mark) == ("✓", "–", "✗")
    assert "phase 1 does not need it, rehearsal does" in note.text


def test_the_doctor_asks_for_the_tools_of_other_phases_in_one_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    *own, note = doctor.extras("phase 1")

    assert [finding.text.partition(" does not")[0] for finding in own] == ["docker", "docker buildx"]
    assert note.text == "not needed for phase 1: go, kubectl, kind, terraform"
    assert [finding.text.split()[0] for finding in doctor.extras("phase 2")][:2] == ["go", "docker"]


def test_each_port_of_the_table_has_an_owner_that_the_doctor_knows() -> None:
    assert {ports.owner(name) for name in ports.read_table(ROOT, {})} == doctor.NEXT.keys()


def test_on_macos_the_doctor_points_at_airplay() -> None:
    assert "AirPlay" in ports.how_to_free("PHASE1_API_PORT", 5000, "Darwin", {})
    assert "AirPlay" not in ports.how_to_free("PHASE1_API_PORT", 5000, "Linux", {})


@pytest.mark.parametrize(
    ("finding", "mark"),
    [
        (doctor.check_python((3, 10, 9)), "✗"),
        (doctor.check_python((3, 11, 0)), "✓"),
        (doctor.check_disk(2**30), "✗"),
        (doctor.check_disk(3 * 2**30), "✓"),
        (doctor.check_memory(2**30), "✗"),
        (doctor.check_memory(None), "!"),
        (doctor.check_memory(2 * 2**30 - 2**26), "✓"),
        (doctor.check_tool("no-such-tool", "no-such-package"), "✗"),
        (doctor.check_extra("no-such-tool", "no-such-tool version", "phase 9", "https://example.com"), "–"),
        (doctor.check_extra("git", "git --version", "all phases", "https://example.com"), "✓"),
    ],
)
def test_the_doctor_draws_the_line_where_it_says(finding: doctor.Finding, mark: str) -> None:
    assert finding.mark == mark
    assert bool(finding.remedy) == (mark != "✓")


def test_the_environment_overrides_the_table_of_ports(course: Course) -> None:
    assert ports.read_table(course.root, {}) == {"PHASE1_API_PORT": course.port}
    assert ports.read_table(course.root, {"PHASE1_API_PORT": "6001"}) == {"PHASE1_API_PORT": 6001}
    assert ports.read_table(course.root, {"PORT": "6002"}) == {"PHASE1_API_PORT": 6002}
    with pytest.raises(ValueError, match="from 1 to 65535"):
        ports.read_table(course.root, {"PORT": "http"})


def test_two_services_with_one_port_are_refused_by_their_names(course: Course) -> None:
    (course.root / "ports.env").write_text("PHASE2_A_PORT=6001\nPHASE2_B_PORT=6002\n")

    with pytest.raises(ValueError, match="PHASE2_A_PORT and PHASE2_B_PORT are both 6001"):
        ports.read_table(course.root, {"PHASE2_B_PORT": "6001"})


def test_make_help_lists_every_target() -> None:
    makefiles = [ROOT / "Makefile", *ROOT.glob("*/Makefile")]
    targets = {name for file in makefiles for name in re.findall(r"^([a-z0-9-]+):", file.read_text(), re.MULTILINE)}

    page = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert targets == set(re.findall(r"^  ([a-z0-9-]+)  +\S", page, re.MULTILINE))
    assert "\x1b" not in page, "colours are for terminals only"


@pytest.mark.slow
def test_a_killed_setup_is_repaired_by_running_it_again(tmp_path: Path) -> None:
    clone = tmp_path / "a clone"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    setup = ["make", "-C", str(clone), "setup"]
    with subprocess.Popen(setup, start_new_session=True, stdout=subprocess.DEVNULL) as first:
        while not (clone / ".venv/.unfinished").exists():
            assert first.poll() is None
            time.sleep(0.05)
        os.killpg(first.pid, signal.SIGKILL)

    second = subprocess.run(setup, capture_output=True, text=True)
    third = subprocess.run(setup, capture_output=True, text=True)

    assert second.returncode == 0, second.stderr
    assert "is installed" in second.stdout
    assert "Nothing to be done" in third.stdout
    subprocess.run([clone / ".venv/bin/phase1", "--help"], check=True, capture_output=True)


TWO_READY = """
ready_seconds = 20
next_steps = "  look at     http://127.0.0.1:{PHASE1_API_PORT}/\\n"
[[ready]]
name = "its port"
port = {PHASE1_API_PORT}
[[ready]]
name = "its door"
url = "http://127.0.0.1:{PHASE1_API_PORT}/door"
status = 401
"""
LATE_DOOR = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = pathlib.Path(__file__).with_name("seen")
        self.send_response(401 if seen.exists() and len(seen.read_text()) > 3 else 503)
        self.end_headers()
        seen.open("a").write("x")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PHASE1_API_PORT"])), Handler).serve_forever()
"""
LATE_TEXT = """
import http.server, os, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        seen = pathlib.Path(__file__).with_name("seen")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(seen.read_bytes() if seen.exists() else b"")
        seen.open("a").write("x")
http.server.HTTPServer(("127.0.0.1", int(os.environ["PHASE1_API_PORT"])), Handler).serve_forever()
"""


def test_a_phase_says_what_is_waited_for_and_what_is_shown(course: Course) -> None:
    course.runs(LATE_DOOR)
    (course.root / "phase1_try/stack.toml").write_text(TWO_READY)

    result = course.stack("up", "phase1_try")

    assert result.returncode == 0, result.stderr
    assert course.command.with_name("seen").read_text() == "xxxxx"
    assert f"look at     http://127.0.0.1:{course.port}/\n" in result.stdout
    assert "a price" not in result.stdout


def test_a_check_with_a_text_waits_until_the_answer_holds_it(course: Course) -> None:
    course.runs(LATE_TEXT)
    (course.root / "phase1_try/stack.toml").write_text(TWO_READY.replace("status = 401", 'text = "xxx"'))

    result = course.stack("up", "phase1_try")

    assert result.returncode == 0, result.stderr
    assert course.command.with_name("seen").read_text() == "xxxx"


def test_the_service_that_does_not_get_ready_is_named(course: Course) -> None:
    (course.root / "phase1_try/stack.toml").write_text(re.sub(r"(?s)(\[\[ready\]\].*?)(?=\[\[)", "", TWO_READY))

    result = course.stack("up", "phase1_try", READY_SECONDS="1")

    assert result.returncode == 1
    assert "not ready after 1 s (its door did not answer)" in result.stderr


def test_a_plan_that_names_an_unknown_port_starts_nothing(course: Course) -> None:
    (course.root / "phase1_try/stack.toml").write_text(TWO_READY.replace("API_PORT", "OTHER_PORT"))

    result = course.stack("up", "phase1_try")

    assert result.returncode == 1
    assert "stack.toml cannot be used: 'PHASE1_OTHER_PORT'" in result.stderr
    assert not course.state.exists()

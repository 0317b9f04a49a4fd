"""What a run shows while it goes: a line for each step, and all of it in a file."""

from __future__ import annotations

import re
import sys
from collections import deque
from typing import IO, Any

import click

# Colours and cursor movements, which programs print that find a terminal; and what they then write over.
ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|[=>])")
WRITTEN_OVER = re.compile(r"[^\n]*\r(?!\n)")
MARKS = {"success": "✓", "failure": "✗", "skipped": "–"}
NOT_HERE = "– not "  # how a stand-in says what it does not do


class Progress:
    """Takes act's events one after the other."""

    def __init__(self) -> None:
        self.failed_step: str | None = None
        self.last_words: list[str] = []
        self.summary = ""
        self._job: str | None = None
        self._words: deque[str] = deque(maxlen=15)
        self._remarks: list[str] = []
        self._live = sys.stdout.isatty()

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._clear()
        click.echo(f"• {text}")

    def take(self, event: dict[str, Any], log: IO[str]) -> None:
        """Put an event into the log, and show it if it is one that matters."""
        text = WRITTEN_OVER.sub("", ESCAPES.sub("", str(event.get("msg", ""))).rstrip())
        job = str(event.get("job", "")).split("/")[-1]
        if text:
            log.write(f"{event.get('time', '')[11:19]} {job:8} {text}\n")
            log.flush()
        if event.get("command") == "summary":
            self.summary += event["content"]
        elif event.get("raw_output"):
            self._words.append(text)
            if text.startswith(NOT_HERE):
                self._remarks.append(text)
        elif event.get("level") == "error" and not event.get("stepID"):
            self._words.append(text)
        elif event.get("stage") == "Main" and len(event.get("stepID", [])) == 1:
            self._step(event, text, job)

    def _step(self, event: dict[str, Any], text: str, job: str) -> None:
        name = re.sub(r"^[\w.-]+/([\w.-]+)@[0-9a-f]{40}$", r"\1", str(event["step"]).splitlines()[0])
        if job != self._job:
            self._job = job
            click.echo(job)
        result = event.get("stepResult")
        if result is None and text.startswith("⭐"):
            self._words.clear()
            self._remarks.clear()
            if self._live:
                click.echo(f"  … {name[:80]}", nl=False)
        elif result:
            self._clear()
            seconds = event.get("executionTime", 0) / 1e9
            click.echo(f"  {MARKS.get(result, '✗')} {name[:80]:60} {seconds:5.0f} s")
            for remark in self._remarks:
                click.echo(f"      {remark}")
            if result == "failure" and not self.failed_step:
                self.failed_step, self.last_words = f"{job}: {name}", [word for word in self._words if word]

    def _clear(self) -> None:
        if self._live:
            click.echo("\r\x1b[K", nl=False)

    @property
    def why(self) -> str:
        """Say which step failed, with the last words that it printed."""
        if not self.failed_step:
            return "\n".join(word for word in self._words if word) or "act ended and did not say why"
        return "\n    ".join([f"step {self.failed_step!r} failed; its last words:", *self.last_words[-10:]])

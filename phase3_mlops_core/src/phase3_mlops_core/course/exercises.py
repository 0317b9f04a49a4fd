"""The exercises of phase 3, found and checked as those of phase 1 are."""

from __future__ import annotations

from pathlib import Path

from phase1_docker_api.course.exercises import Exercises

EXERCISES = Exercises("phase3", Path(__file__).resolve().parents[3] / "exercises")

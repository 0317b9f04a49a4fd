"""The exercises of phase 2, found and checked as those of phase 1 are."""

from __future__ import annotations

from phase1_docker_api.course.exercises import Exercises

from phase2_k8s_cicd.tools import ROOT

EXERCISES = Exercises("phase2", ROOT / "phase2_k8s_cicd" / "exercises")

"""What can go wrong in phase 3, each with a message that says what to do next."""

from __future__ import annotations

from typing import ClassVar

from phase1_docker_api.errors import CourseError

# What a scheduler may try again: EX_TEMPFAIL of sysexits.h.
TRY_AGAIN = 75


class LandingError(CourseError):
    """A month cannot be put into the landing zone, or the landing zone is not what it should be."""


class PreparationError(CourseError):
    """The sales table cannot be made or read."""


class BusyPreparationError(PreparationError):
    """Another process prepares the table."""

    exit_code: ClassVar[int] = TRY_AGAIN


class QuarantinedError(PreparationError):
    """The month was quarantined whole, so it has no sales."""


class SparkError(CourseError):
    """Spark does not answer, or its session was lost."""

    exit_code: ClassVar[int] = TRY_AGAIN


class RegistryError(CourseError):
    """The model registry does not hold what was asked for, or refuses it."""


class UnreachableRegistryError(RegistryError):
    """The model registry does not answer."""

    exit_code: ClassVar[int] = TRY_AGAIN


class GateError(CourseError):
    """The champion and the challenger cannot be compared."""


class OrchestrationError(CourseError):
    """Airflow is not installed, or did not start."""

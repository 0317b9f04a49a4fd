"""What can go wrong in phase 3, each with a message that says what to do next."""

from __future__ import annotations

from phase1_docker_api.errors import CourseError


class LandingError(CourseError):
    """A month cannot be put into the landing zone, or the landing zone is not what it should be."""


class PreparationError(CourseError):
    """The sales table cannot be made or read."""


class SparkError(CourseError):
    """Spark does not answer, or its session was lost."""


class RegistryError(CourseError):
    """The model registry does not answer, or does not hold what was asked for."""


class GateError(CourseError):
    """The champion and the challenger cannot be compared."""

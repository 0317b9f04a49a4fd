"""What can go wrong in phase 2, each with a message that says what to do next."""

from __future__ import annotations

from phase1_docker_api.errors import CourseError


class ToolError(CourseError):
    """A program that the work needs (kubectl, docker, …) is missing, or refused what it was told."""


class ClusterError(CourseError):
    """The cluster is not the one that was meant, or is busy with another rollout."""


class RolloutError(CourseError):
    """A version did not pass; the message is the reason, as it is printed and kept."""

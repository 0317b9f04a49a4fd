"""What can go wrong in phase 2, each with a message that says what to do next."""

from __future__ import annotations

from phase1_docker_api.errors import CourseError


class ToolError(CourseError):
    """A program that the work needs (kubectl, docker, …) refused what it was told."""


class MissingToolError(ToolError):
    """A program that the work needs is not installed; the message says where to get it."""


class ToolTimeoutError(ToolError):
    """A program did not end in time, so its answer is not known."""


class AlreadyThereError(ToolError):
    """Terraform was to make what exists already and its state does not know."""

    def __init__(self, message: str, addresses: list[str]) -> None:
        super().__init__(message)
        self.addresses = addresses


class ClusterError(CourseError):
    """The cluster is not the one that was meant, or is busy with another rollout."""


class RolloutError(CourseError):
    """A version did not pass; the message is the reason, as it is printed and kept."""

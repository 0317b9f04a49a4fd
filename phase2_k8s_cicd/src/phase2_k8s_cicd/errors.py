"""What can go wrong in phase 2, each with a message that says what to do next."""

from __future__ import annotations

from phase1_docker_api.errors import Phase1Error


class Phase2Error(Phase1Error):
    """The root of the tree; being phase 1's too, its command line prints it and ends with code 1."""


class ToolError(Phase2Error):
    """A program that the work needs (kubectl, docker, …) is missing, or refused what it was told."""


class ClusterError(Phase2Error):
    """The cluster is not the one that was meant, or is busy with another rollout."""


class RolloutError(Phase2Error):
    """A version did not pass; the message is the reason, as it is printed and kept."""

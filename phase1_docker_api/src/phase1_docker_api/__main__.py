"""Let `python -m phase1_docker_api` do what `phase1` does, and end at SIGTERM even as process 1 of a container."""

import signal
import sys

# The kernel spares process 1 every signal that it has no handler for, and the imports below take a while.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

from phase1_docker_api.cli import main  # noqa: E402 - not before the handler

main()

"""Let `python -m phase1_docker_api` do what `phase1` does."""

from phase1_docker_api.cli import main

main()

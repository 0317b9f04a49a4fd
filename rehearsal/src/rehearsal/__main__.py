"""Run a verb: `python -m rehearsal push`, which `make rehearse-push` calls."""

from rehearsal.cli import cli

if __name__ == "__main__":
    cli(prog_name="rehearsal")

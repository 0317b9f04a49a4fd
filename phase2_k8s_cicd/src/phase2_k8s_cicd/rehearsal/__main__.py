"""Run a verb: `python -m phase2_k8s_cicd.rehearsal push`, which `make rehearse-push` calls."""

from phase2_k8s_cicd.rehearsal.cli import cli

if __name__ == "__main__":
    cli(prog_name="rehearsal")

"""Run the four verbs: `python -m phase2_k8s_cicd.cloud plan | up | down | check`, which `make cloud-plan` … call."""

from phase2_k8s_cicd.cloud.cli import cli

if __name__ == "__main__":
    cli(prog_name="cloud")

"""Run `python -m phase2_k8s_cicd.delivery.cloud plan | up | down | check`, which `make cloud-plan` … call."""

from phase2_k8s_cicd.delivery.cloud.cli import cli

if __name__ == "__main__":
    cli(prog_name="cloud")

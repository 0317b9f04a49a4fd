"""Lets `python -m phase2_k8s_cicd` do what the command `phase2` does."""

from phase2_k8s_cicd.cli import main

if __name__ == "__main__":
    main()

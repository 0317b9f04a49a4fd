"""Run the command line: `python -m phase3_mlops_core …`."""

from phase3_mlops_core.cli import main

main()

"""The pipeline on this computer: what is pushed to a local repository runs the workflows, by act and with stand-ins."""

"""A project in one command: its data, compute, environment and scripts to the cloud, and a script that runs there."""

"""The command line: `aml`.

Each file here holds the commands of one noun: arguments, options, help. What a command does is in the file of the
same name in `work/`, in a function of the same name: `aml logs` is `jobs.logs`, which calls `work.jobs.logs`. Few
commands need so few lines that they have no such twin. `main` lists all commands, file by file.

These files import click and nothing heavy, so that `aml --help` is quick; commands import their twin when they run.
"""

from azureml_wrapper.cli.main import main

__all__ = ["main"]

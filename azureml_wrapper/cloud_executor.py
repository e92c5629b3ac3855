"""`python -m azureml_wrapper.cloud_executor …` is `aml execute …`.

A project that has its own `pipeline/azureml/cloud_executor.py` can keep using it with these lines in it:

    from azureml_wrapper.cloud_executor import main

    main()
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from azureml_wrapper import cli


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `aml execute`, and exit with its exit code.

    Args:
        arguments: Those of `aml execute`; by default those of the command line.
    """
    cli.main(["execute", *(sys.argv[1:] if arguments is None else arguments)])


if __name__ == "__main__":
    main()

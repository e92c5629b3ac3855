"""Programs under `aml local exec`: what the service remembers of them, in memory only, and reports to them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.tokens import Identity

_PROGRAM = re.compile(r"[0-9a-f]{16}")


class ProgramStore:
    """The resource groups that programs manage themselves, and the named pipes to the programs.

    Args:
        folder: The pipes; each has the name of its program.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._managed: set[tuple[str, str, str]] = set()

    def manage(self, identity: Identity, subscription: str, group: str) -> None:
        """Remember that a program creates or deletes the workspaces of a resource group itself.

        `Workspace.create` looks for the group, then for the workspace, and refuses one that exists
        (azureml/_workspace/custom.py).
        """
        if identity.program:
            self._managed.add((identity.program, subscription.lower(), group.lower()))

    def manages(self, identity: Identity, subscription: str, group: str) -> bool:
        return (identity.program or "", subscription.lower(), group.lower()) in self._managed

    def report(self, identity: Identity, line: str) -> None:
        """Let `aml local exec` print a line."""
        if not identity.program:
            return
        # Without a reader, the pipe cannot be opened: the program has ended.
        with contextlib.suppress(OSError), open(self._folder / identity.program, "wb", opener=_for_writing) as pipe:
            pipe.write(f"{line}\n".encode())


def check_program(name: str) -> str:
    """The name of a program, which is that of a file; raise `Invalid` for any other string."""
    if not _PROGRAM.fullmatch(name):
        raise Invalid(f"Invalid name of a program: {name[:80]!r}.")
    return name


def _for_writing(path: str, _: int) -> int:
    return os.open(path, os.O_WRONLY | os.O_NONBLOCK)

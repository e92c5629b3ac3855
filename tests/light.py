"""Preloaded processes that import nothing: for what is not about libraries. Each costs a thirtieth of a real one."""

from __future__ import annotations

from pathlib import Path

from azureml_wrapper.local.executor import zygote

PROGRAM = """
import sys
# The folder of zygote.py, as if it had been started itself.
sys.path[0] = {folder!r}
import zygote
zygote.PRELOADED = ()
zygote.main()
"""


def zygote_in(folder: Path) -> str:
    """A program for `zygote.__file__`."""
    file = folder / "light-zygote.py"
    file.write_text(PROGRAM.format(folder=str(Path(zygote.__file__).parent)), encoding="utf-8")
    return str(file)

"""Play the blocks of a page in order, as one reader in one Python session would.

Runs as `python -c <this file> <blocks.json>`, so that the current folder comes first in `sys.path`, as in a session.
Each block is a list of language, text and file name (or null). Before the output of a block that runs, it prints a
line with a mark and the block's number.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MARK = "\x1e"


def play(blocks: list[list[Any]]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, (language, text, file) in enumerate(blocks):
        if file:
            Path(file).write_text(text, encoding="utf-8")
        elif language == "python":
            print(f"{MARK}{number}", flush=True)
            exec(compile(text, f"block {number}", "exec"), names)  # noqa: S102 - running what a page shows is the test
        elif language == "bash":
            print(f"{MARK}{number}", flush=True)
            subprocess.run(["bash", "-euc", text], check=True)
        sys.stdout.flush()


if __name__ == "__main__":
    play(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))

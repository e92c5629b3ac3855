"""Waiting for a run's end: `Prefer: wait=20` (RFC 7240) with the request for a run.

The answer comes when the run has ended, at the latest after that many seconds, with the run as it is then. Clients
that do not ask for it, the SDK among them, are answered at once.
"""

from __future__ import annotations

import asyncio
import math
import re

from starlette.concurrency import run_in_threadpool

from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.http.messages import Request
from azureml_wrapper.local.services.context import Context

# The SDK gives an answer 100 seconds to come.
LONGEST_SECONDS = 60.0
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*([^,;]*)", re.IGNORECASE)


async def await_end(context: Context, request: Request) -> None:
    """Wait as long as the client would, or until the run of the address has ended."""
    seconds = read_wait(request.headers.get("prefer", ""))
    if seconds <= 0:
        return
    run = (request.workspace_id, request["run_id"])
    with context.waiting.entry(run) as end:
        # Looked at after the entry: an end that comes in between is not missed. What is unknown, the handler tells.
        found = await run_in_threadpool(context.runs.find, *run)
        if found and not found.status.is_terminal:
            await asyncio.wait([end], timeout=seconds)


def read_wait(header: str) -> float:
    """The seconds of a `Prefer` header, 0 where it names none, cut to `LONGEST_SECONDS`."""
    found = _WAIT.search(header)
    if found is None:
        return 0.0
    try:
        seconds = float(found[1].strip().strip('"'))
    except ValueError as error:
        raise Invalid(f"Prefer: wait={found[1]} is not a number of seconds.") from error
    return min(seconds, LONGEST_SECONDS) if math.isfinite(seconds) else LONGEST_SECONDS

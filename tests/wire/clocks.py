"""A service whose clock is ahead of the machine's, so that nobody waits for what is due later."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from tests.waiting import until

# The service as it is otherwise.
_AHEAD = """
import sys
from datetime import timedelta
from azureml_wrapper.local import app, server

class Ahead(app.SystemClock):
    def now(self):
        return super().now() + timedelta(seconds=float({seconds}))

app.SystemClock = Ahead
server.main()
"""


@contextlib.contextmanager
def service_ahead(home: Home, ahead: timedelta) -> Iterator[None]:
    """The service of a home, started anew, with its clock ahead of this machine's."""
    service_process.stop(home)
    code = _AHEAD.format(seconds=ahead.total_seconds())
    process = subprocess.Popen([sys.executable, "-c", code, "--home", str(home.path)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: service_process.find(home))
        yield
    finally:
        process.terminate()
        process.wait(20)

"""The local service with its requests counted, a line each in the file REQUESTS: the programs that measure start it.

With METRICS=discard it acknowledges batches of metrics and does nothing with them: what is then measured is the SDK.
"""

import json
import os
import re
from pathlib import Path

from azureml_wrapper.local import server

BATCH = re.compile(r"/metric/v2\.0/.*/batch")
EMPTY = json.dumps({}).encode()


class Watched:
    """The service's application, with an eye on what comes in."""

    def __init__(self, application):
        self._application = application
        self._requests = Path(os.environ["REQUESTS"]).open("a", buffering=1)  # noqa: SIM115 (until the process ends)
        self._discards = os.environ.get("METRICS") == "discard"

    def __getattr__(self, name):
        return getattr(self._application, name)

    async def __call__(self, scope, receive, send):
        self._requests.write(f"{scope['method']} {scope['path']}\n")
        if self._discards and BATCH.fullmatch(scope["path"]):
            await discard(receive, send)
        else:
            await self._application(scope, receive, send)


async def discard(receive, send):
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(EMPTY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": EMPTY})


if __name__ == "__main__":
    build = server.build_application
    server.build_application = lambda context: Watched(build(context))
    server.main()

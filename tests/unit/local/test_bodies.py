"""What a request may send: how much of a body the service takes into its memory."""

from __future__ import annotations

import asyncio
import json

import pytest

from azureml_wrapper.local.app import build_application, build_context
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.http import application
from azureml_wrapper.local.tokens import Tokens

LIMIT, CHUNK = 1000, 100
PORT = 1
SCOPE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/local"
PATH = f"/history/v1.0{SCOPE}/experiments/e/runs/r"


@pytest.fixture
def send(tmp_path, monkeypatch):
    """`send(headers, chunks)`: the answer to a PATCH whose body comes in chunks, and how many of them were read."""
    monkeypatch.setattr(application, "BODY_LIMIT", LIMIT)
    home = Home(tmp_path / "home")
    home.create()
    served = build_application(build_context(home, PORT))
    token = Tokens(home.secret()).user()

    def request(headers, chunks):
        given = {"host": f"127.0.0.1:{PORT}", "authorization": f"Bearer {token}", **headers}
        scope = {
            "type": "http",
            "method": "PATCH",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "server": ("127.0.0.1", PORT),
        }
        read, sent = [], []

        async def receive():
            read.append(1)
            assert len(read) <= len(chunks), "the body has ended"
            return {"type": "http.request", "body": chunks[len(read) - 1], "more_body": len(read) < len(chunks)}

        async def answer(message):
            sent.append(message)

        asyncio.run(served(scope, receive, answer))
        return sent[0]["status"], json.loads(sent[1]["body"]), len(read)

    return request


def body(size):
    text = b'{"status": "Running"}'.ljust(size)
    return [text[start : start + CHUNK] for start in range(0, size, CHUNK)]


# Small bodies, those of an unknown length, and large ones are read at different places.
@pytest.mark.parametrize("length", ["20", None, "1000000000"], ids=["small", "unknown", "large"])
def test_a_body_has_a_limit(send, length):
    headers = {"transfer-encoding": "chunked"} if length is None else {"content-length": length}
    assert send(headers, body(LIMIT))[0] == 200
    status, answer, read = send(headers, body(100 * LIMIT))
    assert (status, answer["error"]["code"]) == (413, "RequestBodyTooLarge")
    assert read == LIMIT // CHUNK + 1, "nothing is read beyond the limit"

"""How run history and logs are asked without the SDK: against a small server that answers as Azure does, or worse."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.errors import ConnectionFailed, LoginFailed
from azureml_wrapper.runs import logs
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.runs.logs import TAIL, LogReader, last_line
from azureml_wrapper.transfer import http_client

RUN = "me_1_ab"
LOG = "user_logs/std_log.txt"


class Azure(ThreadingHTTPServer):
    """Files of one run, and pages of runs."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.pages: list[dict] = []
        self.asked: list[str] = []
        self.status = 200
        self.ranges = True

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(path)
        if self.server.status != 200:
            return self.answer(self.server.status, b'{"error": {"message": "no"}}')
        if path.startswith("/blob/"):
            return self.answer_blob(path.removeprefix("/blob/"))
        folder = path.partition(f"dcid.{RUN}/")[2]
        found = [
            {"path": name, "contentUri": f"{self.server.address}/blob/{name}?sig=secret"}
            for name in self.server.files
            if name.startswith(folder)
        ]
        return self.answer(200, json.dumps({"value": found}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(f"{body['filter']} {body.get('continuationToken')}")
        assert self.headers["Authorization"] == "Bearer token"
        self.answer(200, json.dumps(self.server.pages.pop(0)).encode())

    def answer_blob(self, name):
        content = self.server.files.get(name)
        if content is None:
            return self.answer(404, b"")
        start, end = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"]).groups()
        if not self.server.ranges:
            return self.answer(200, content)
        if int(start) >= len(content):
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
        part = content[int(start) : int(end) + 1 if end else None]
        told = f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
        return self.answer(206, part, {"Content-Range": told})

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def azure(monkeypatch):
    monkeypatch.setattr(http_client, "FIRST_PAUSE", 0.001)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Azure() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(azure):
    return HistoryClient(Access(azure.address, lambda: "token"), Scope("sub", "rg", "w"))


class TestRuns:
    def test_come_from_all_pages(self, azure, client):
        azure.pages = [{"value": [{"runId": "a"}], "continuationToken": "t"}, {"value": [{"runId": "b"}]}]
        assert [run["runId"] for run in client.runs("exp", ["a", "b"])] == ["a", "b"]
        assert azure.asked == ["(RunId eq a or RunId eq b) None", "(RunId eq a or RunId eq b) t"]

    def test_of_an_experiment_that_there_is_not_are_none(self, azure, client):
        azure.status = 404
        assert client.files(RUN, "user_logs") == {}

    @pytest.mark.parametrize(
        ("status", "error", "told"),
        [
            (401, LoginFailed, r"refuses the login \(401.*az login --use-device-code"),
            (403, LoginFailed, r"refuses the login \(403"),
            (400, ConnectionFailed, "answered 400"),
            (503, ConnectionFailed, "answered 503"),
        ],
    )
    def test_a_refusal_is_told(self, azure, client, status, error, told):
        azure.status = status
        with pytest.raises(error, match=told):
            client.files(RUN, "user_logs")
        # What may pass is asked again; what will stay so is not.
        assert len(azure.asked) == (4 if status == 503 else 1)

    def test_nobody_at_the_address_is_told_without_what_is_secret(self, azure):
        nowhere = HistoryClient(Access("http://127.0.0.1:9", lambda: "hunter2"), Scope("sub", "rg", "w"))
        with pytest.raises(ConnectionFailed, match=r"Azure ML at http://127\.0\.0\.1:9 does not answer") as told:
            nowhere.read("http://127.0.0.1:9/blob/x?sig=hunter2")
        assert "hunter2" not in str(told.value)


class TestLogs:
    def test_are_read_to_their_end_and_then_only_what_is_new(self, azure, client, monkeypatch):
        monkeypatch.setattr(logs, "BLOCK", 7)
        azure.files[LOG] = "première ligne 🐧\n".encode()
        reader = LogReader(client, RUN)
        assert "".join(reader.read()) == "première ligne 🐧\n"
        assert "".join(reader.read()) == ""
        azure.files[LOG] += "zwölf".encode()
        assert "".join(reader.read()) == "zwölf"

    def test_a_character_that_is_half_there_waits_for_its_other_half(self, azure, client):
        whole = "é".encode()
        azure.files[LOG] = b"a" + whole[:1]
        reader = LogReader(client, RUN)
        assert "".join(reader.read()) == "a"
        azure.files[LOG] += whole[1:] + b"b"
        assert "".join(reader.read()) == "éb"

    def test_of_several_processes_have_headings(self, azure, client):
        azure.files = {"user_logs/std_log_process_0.txt": b"zero\n", "user_logs/std_log_process_1.txt": b"one\n"}
        assert "".join(LogReader(client, RUN).read()) == (
            "==> user_logs/std_log_process_0.txt <==\nzero\n\n==> user_logs/std_log_process_1.txt <==\none\n"
        )

    def test_of_the_runtime_before_are_found_too(self, azure, client):
        azure.files = {"azureml-logs/70_driver_log.txt": b"old\n", "azureml-logs/55_azureml-execution.txt": b"no\n"}
        assert "".join(LogReader(client, RUN).read()) == "old\n"

    def test_that_are_not_there_yet_are_empty(self, azure, client):
        assert "".join(LogReader(client, RUN).read()) == ""
        assert last_line(client, RUN) == ""

    @pytest.mark.parametrize("ranges", [True, False])
    def test_a_server_that_knows_no_ranges_is_read_as_well(self, azure, client, ranges):
        azure.ranges = ranges
        azure.files[LOG] = b"abc"
        assert client.read(f"{azure.address}/blob/{LOG}", 1, 1) == (b"b", 3)
        assert client.read(f"{azure.address}/blob/{LOG}", 3) == (b"", 3)
        assert client.read(f"{azure.address}/blob/nowhere") == (b"", 0)

    @pytest.mark.parametrize("size", [10, TAIL - 10, TAIL, TAIL + 1, 3 * TAIL])
    def test_the_last_line_is_that_of_the_whole_log(self, azure, client, size):
        azure.files[LOG] = b"x" * size + "\nle mot de la fin: é\n\n[local] exit code 0\n".encode()
        assert last_line(client, RUN) == "le mot de la fin: é"

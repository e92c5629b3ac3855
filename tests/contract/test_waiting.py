"""Requests that wait for the end of a run, over a real socket. No SDK here."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import Tokens

SCOPE = "/subscriptions/local/resourceGroups/local/providers/Microsoft.MachineLearningServices/workspaces/local"
# More than the service has threads for handlers (anyio's 40).
WAITERS = 60
pytestmark = pytest.mark.local_only


class Service:
    """Runs of a service of its own, asked without the SDK."""

    def __init__(self, home: Home) -> None:
        self.home, self.info = home, service_process.start(home)
        self.headers = {"Authorization": f"Bearer {Tokens(self.info.secret).user()}"}
        self.runs = f"http://127.0.0.1:{self.info.port}/history/v1.0{SCOPE}/experiments/e/runs"

    def put(self, run_id: str, status: str) -> None:
        body = {"runId": run_id, "status": status}
        requests.patch(f"{self.runs}/{run_id}", json=body, headers=self.headers, timeout=20).raise_for_status()

    def get(self, run_id: str, prefer: str | None = None) -> requests.Response:
        headers = {**self.headers, **({"Prefer": prefer} if prefer else {})}
        return requests.get(f"{self.runs}/{run_id}", headers=headers, timeout=40)

    def statuses(self, run_id: str, prefer: str, into: list[str]) -> threading.Thread:
        """A thread that asks, and notes the answer."""
        thread = threading.Thread(target=lambda: into.append(self.get(run_id, prefer).json()["status"]))
        thread.start()
        return thread


@pytest.fixture
def service(tmp_path):
    home = Home(tmp_path / "home")
    yield Service(home)
    service_process.stop(home)


def test_an_answer_is_held_back_until_the_run_has_ended(service):
    service.put("r", "Running")
    answers: list[str] = []
    asked = time.monotonic()
    thread = service.statuses("r", "respond-async, wait=30", answers)
    thread.join(0.5)
    assert thread.is_alive(), answers
    service.put("r", "Finalizing")
    thread.join(0.3)
    assert thread.is_alive(), answers
    service.put("r", "Completed")
    thread.join(20)
    assert answers == ["Completed"]
    assert time.monotonic() - asked < 20


def test_the_answer_comes_after_the_seconds_that_the_client_waits(service):
    service.put("r", "Running")
    asked = time.monotonic()
    assert service.get("r", "wait=0.3").json()["status"] == "Running"
    assert time.monotonic() - asked >= 0.3


def test_what_has_ended_or_is_not_there_is_told_at_once(service):
    service.put("r", "Failed")
    assert service.get("r", "wait=30").json()["status"] == "Failed"
    assert service.get("nobody", "wait=30").status_code == 404
    other = service.runs.replace("/experiments/e/", "/experiments/other/")
    service.put("running", "Running")
    # A run of another experiment: it would be waited for longer than the client does.
    answer = requests.get(f"{other}/running", headers={**service.headers, "Prefer": "wait=60"}, timeout=20)
    assert answer.status_code == 404
    refused = service.get("r", "wait=soon")
    assert refused.status_code == 400
    assert "Invalid Prefer: wait=soon: expected a number of seconds." in refused.text


def test_those_who_wait_do_not_keep_others_from_their_answers(service):
    service.put("r", "Running")
    with ThreadPoolExecutor(WAITERS) as pool:
        waiting = [pool.submit(service.get, "r", "wait=30") for _ in range(WAITERS)]
        for number in range(10):
            service.put(f"other{number}", "Completed")
        assert not any(each.done() for each in waiting)
        service.put("r", "Canceled")
        assert {each.result(20).json()["status"] for each in waiting} == {"Canceled"}


def test_the_service_ends_while_somebody_waits(service):
    service.put("r", "Running")
    answers: list[str] = []
    thread = service.statuses("r", "wait=60", answers)
    thread.join(0.5)
    assert thread.is_alive()
    assert service_process.stop(service.home)
    thread.join(20)
    assert answers == ["Running"]

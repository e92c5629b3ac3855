"""The fuzzer: that it asks for every route, that it finds what it looks for, and what it finds in 20,000 requests."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest

from azureml_wrapper.local.home import ServiceInfo
from tests.faults.fuzzing import rounds
from tests.faults.fuzzing.__main__ import shares
from tests.faults.fuzzing.connection import Connection, message
from tests.faults.fuzzing.rounds import Requests, Tally, bench, fuzz, ready
from tests.faults.fuzzing.seeds import corpus, operations
from tests.faults.fuzzing.world import World

SEED = 20_000
# Refused or missing on purpose, whatever the request.
NEVER_WELL = {
    "POST {workspace_scope}/checkComputeNameAvailability",
    "POST /environment/v1.0{workspace_scope}/environments/{environment}/versions/{version}/recipe",
    "POST /environment/v1.0{workspace_scope}/environments/{environment}/recipe",
    "GET /studio/{key}/{path:rest}",
    "GET /registrymanagement/v1.0/registries/{registry}/discovery",
}
TRIES = 6


@pytest.mark.slow
def test_every_route_has_a_request_that_is_answered_well(tmp_path):
    """A new route needs a body in tests/bodies.py, or what it names in the fuzzer's world."""
    with bench(tmp_path, Tally()) as made:
        assert asyncio.run(_not_well(made)) == []
    assert made.tally.findings == {}


async def _not_well(made):
    requests, connection = Requests(SEED), Connection(made.info.port)
    world = World(made.info, 0, connection, made.copy)
    await world.make()
    # What is deleted must not be missing for the others.
    ordered = sorted(requests.prepared, key=lambda each: each.operation.route.method == "DELETE")
    failed = []
    for prepared in ordered:
        if prepared.operation.name not in NEVER_WELL and not await _is_well(prepared, requests, world, connection):
            failed.append(prepared.operation.name)
    await connection.close()
    return failed


async def _is_well(prepared, requests, world, connection):
    for seed in reversed(prepared.seeds):
        for number in range(TRIES):
            draft = requests.draft(prepared, seed, world, random.Random(number))  # noqa: S311
            if not prepared.operation.is_storage:
                draft.authorization = world.user
            sent = ready(number, prepared.operation, draft, world)
            answer = await connection.send(sent.data, is_head=sent.is_head)
            if answer.status < 300:
                return True
    return False


@pytest.mark.slow(60)
def test_20000_requests_break_nothing(tmp_path):
    tally = Tally()
    with bench(tmp_path, tally) as made:
        for _ in fuzz(made, Requests(SEED), range(20_000)):
            pass
    print(f"seed {SEED}: {tally.line()}")
    assert "\n\n".join(tally.findings.values()) == ""
    assert len(tally.routes) == len(operations())


def test_recorded_requests_are_of_routes_that_exist():
    assert set(corpus()) <= {operation.name for operation in operations()}


@pytest.fixture
def world():
    made = World(ServiceInfo(pid=1, port=1, secret="s" * 64, python=""), 0, Connection(1))
    made.run_token, made.archive, made.signature, made.user = "Bearer r", b"PK", "sig=x&se=y", "Bearer u"
    for prepared in Requests(0).prepared:
        for kind in prepared.kinds.values():
            made.kinds.setdefault(kind, ["some"])
    return made


def test_a_seed_makes_the_same_requests(world, monkeypatch):
    monkeypatch.setattr(rounds.time, "gmtime", lambda: (2026, 12, 1, 8, 0, 0, 1, 335, 0))
    made = (Requests(seed) for seed in (1, 1, 2))
    first, again, other = ([each.make(number, world).data for number in range(600)] for each in made)
    assert first == again
    assert first != other


async def _answered(answers: list[bytes], seconds: float = 0) -> list[int]:
    """What a connection makes of a service that answers so."""
    left = iter(answers)

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(next(left, b""))
                await writer.drain()
                if seconds == 0 and not answers[-1]:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = Connection(server.sockets[0].getsockname()[1])
    data = message("GET", "/", [("Host", "x")], b"")
    found = [(await connection.send(data)).status for _ in answers]
    await connection.close()
    server.close()
    return found


def test_answers_are_read_in_every_form():
    fixed = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n"
    assert asyncio.run(_answered([fixed, chunked, early, fixed])) == [200, 500, 204, 200]


def test_a_connection_that_ends_without_an_answer_is_found():
    assert asyncio.run(_answered([b""])) == [0]


def test_a_request_that_is_never_answered_is_found(monkeypatch):
    monkeypatch.setattr("tests.faults.fuzzing.connection.HANG_SECONDS", 0.05)
    assert asyncio.run(_answered([b""], seconds=1)) == [-1]


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (-1, "no answer"),
        (0, "the connection ended"),
        (500, "answered 500"),
        (503, "answered 503"),
        (501, ""),
        (400, ""),
    ],
)
def test_what_must_not_happen_is_a_finding(status, problem):
    found = rounds._problem(rounds.Answer(status))
    assert found.startswith(problem) if status <= 0 else found == problem


def test_a_file_outside_of_the_home_is_a_finding(tmp_path):
    made = object.__new__(rounds.Bench)
    made.folder, made.home = tmp_path, rounds.Home(tmp_path / "a" / "home")
    for name in ("output", "a/home/inside", "a/outside", "user/.config", "user/.cache/uv/wheel"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    assert made.outside() == ["a/outside", "user/.config"]


def test_a_traceback_in_the_log_is_a_finding(tmp_path):
    made = object.__new__(rounds.Bench)
    made.home, made.tally, made._log_read = rounds.Home(tmp_path), Tally(), 0
    made.home.log_file.write_text(
        "2026 INFO fine\n2026 ERROR lost\nTraceback (most recent call last):\n  File x\nOops: y\n"
    )
    made.read_log()
    made.read_log()
    assert [*made.tally.findings] == ["logged Oops: y"]


def test_services_share_the_requests():
    assert shares(range(10, 40_010), 2) == [range(10, 16_010), range(16_010, 40_010)]
    assert shares(range(0, 9000), 4) == [range(0, 8000), range(8000, 9000)]
    assert shares(range(0, 100), 3) == [range(0, 100)]

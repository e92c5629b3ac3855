"""Rounds of requests, each in a world of its own, and what must hold of every answer and after each round."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote_plus, unquote

from azureml_wrapper.local import service_process
from azureml_wrapper.local.home import Home, ServiceInfo
from tests.faults.fuzzing.connection import HANG_SECONDS, Answer, Connection, message
from tests.faults.fuzzing.mutations import Draft, mutate
from tests.faults.fuzzing.seeds import VERSION, Operation, Seed, kind_of, operations, parameters_of, path_of, seeds_of
from tests.faults.fuzzing.world import KEY, World
from tests.waiting import until

ROUND = 8000
CONNECTIONS = 4
# No answer may take longer on a machine that has time for it; a slower one is asked for again after its round.
SLOW_SECONDS = 2.0
SLOW_TRIES = 5
# How long a service may take to start, if other programs have every core.
START_SECONDS = 600.0
# What the service may use, in MiB: twice what it needs for a round at the beginning.
MEMORY_BOUND = 400
FINDINGS_SHOWN = 20
_TRACEBACK = re.compile(r"^.*\nTraceback \(most recent call last\):\n(?:[ \t].*\n)+.*$", re.MULTILINE)


@dataclass
class Tally:
    """What came of it."""

    requests: int = 0
    retried: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    routes: set[str] = field(default_factory=set)
    well: set[str] = field(default_factory=set)
    slowest: tuple[float, str] = (0.0, "")
    peak: float = 0.0
    findings: dict[str, str] = field(default_factory=dict)
    begin: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        seconds = time.monotonic() - self.begin
        classes = Counter(f"{status // 100}xx" if status != 501 else "501" for status in self.statuses.elements())
        counts = ", ".join(f"{count} {name}" for name, count in sorted(classes.items()))
        return (
            f"{self.requests} requests in {seconds:.0f} s ({self.requests / max(seconds, 0.001):.0f}/s), "
            f"{len(self.routes)} routes ({len(self.well)} answered well); {counts}; slowest {self.slowest[0]:.2f} s "
            f"({self.slowest[1]}); peak memory {self.peak:.0f} MiB; {len(self.findings)} findings"
        )

    def add(self, other: Tally) -> None:
        """Count what another service was asked for, too."""
        self.requests, self.retried = self.requests + other.requests, self.retried + other.retried
        self.statuses += other.statuses
        self.routes |= other.routes
        self.well |= other.well
        self.slowest, self.peak = max(self.slowest, other.slowest), max(self.peak, other.peak)
        self.findings |= other.findings


@dataclass(frozen=True)
class Sent:
    """A request as it was sent."""

    number: int
    operation: str
    data: bytes
    is_head: bool
    closes: bool
    is_cut: bool


class Prepared:
    """An operation with its seeds, and the kinds of its parameters."""

    def __init__(self, operation: Operation) -> None:
        self.operation, self.seeds = operation, seeds_of(operation)
        self.filled = {id(seed): "<" in json.dumps(seed.body, default=str) for seed in self.seeds}
        self.kinds = {name: kind_of(operation.route, name) for name in parameters_of(operation.route)}


class Requests:
    """The requests of a seed: the same ones for the same seed, but for the ids that the service gives."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._every = [Prepared(operation) for operation in operations()]

    @property
    def prepared(self) -> list[Prepared]:
        return self._every

    def make(self, number: int, world: World) -> Sent:
        chance = random.Random(f"{self._seed}:{number}")  # noqa: S311
        prepared = self._every[number % len(self._every)]
        draft = self.draft(prepared, chance.choice(prepared.seeds), world, chance)
        mutate(draft, chance)
        _spare(draft, world)
        return ready(number, prepared.operation, draft, world)

    def draft(self, prepared: Prepared, seed: Seed, world: World, chance: random.Random) -> Draft:
        """A well-formed request."""
        route = prepared.operation.route
        names = {name: chance.choice(world.kinds[kind]) for name, kind in prepared.kinds.items()}
        headers = [(name, world.fill(value, chance)) for name, value in seed.headers.items()]
        query = [(name, quote_plus(world.fill(value, chance))) for name, value in seed.query.items()]
        draft = Draft(route.method, path_of(route, names), query, headers, None)
        draft.body = world.fill_all(seed.body, chance) if prepared.filled[id(seed)] else seed.body
        if route.path.endswith("/snapshots/archive"):
            draft.body = world.archive
        draft.authorization = world.user if chance.random() < 0.9 else world.run_token
        if prepared.operation.is_storage:
            is_of_account = prepared.operation.route.query.get("restype") and draft.method in ("PUT", "DELETE")
            self._authorize(draft, world, 0.0 if is_of_account else chance.random())
        return draft

    def _authorize(self, draft: Draft, world: World, way: float) -> None:
        headers = {name.lower() for name, _ in draft.headers}
        draft.headers += [item for item in VERSION.items() if item[0] not in headers]
        if draft.path == "/" or way < 0.3:
            draft.account, draft.key = world.account, KEY
            draft.headers.append(("x-ms-date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())))
        elif way < 0.5:
            draft.authorization = ""
            draft.query += [
                (name, value) for name, _, value in (p.partition("=") for p in world.signature.split("&"))
            ]


def _spare(draft: Draft, world: World) -> None:
    """A round needs its workspace and the default one until its end."""
    last = unquote(draft.path).rstrip("/").rpartition("/")[2].lower()
    if draft.method == "DELETE" and last in (world.workspace, "local"):
        draft.method = "GET"


def ready(number: int, operation: Operation, draft: Draft, world: World) -> Sent:
    content = draft.content()
    headers = list(draft.headers)
    names = {name.lower() for name, _ in headers}
    if "host" not in names:
        headers.insert(0, ("Host", f"127.0.0.1:{world.port}"))
    if "content-type" not in names and isinstance(draft.body, (dict, list)):
        headers.append(("Content-Type", "application/json"))
    length = max(len(content) + draft.excess, 0)
    headers.append(("Content-Length", str(length)))
    data = message(draft.method, draft.target(), draft.signed(headers), content)
    is_wrong = length != len(content) or bool(names & {"transfer-encoding", "connection", "upgrade", "expect"})
    return Sent(number, operation.name, data, draft.method == "HEAD", is_wrong, length > len(content))


class Round:
    """The requests of one world."""

    def __init__(self, bench: Bench, requests: Requests, numbers: range) -> None:
        self._bench, self._requests, self._numbers = bench, requests, numbers
        self._tally = bench.tally
        self._slow: list[Sent] = []

    async def run(self) -> None:
        keeper = Connection(self._bench.info.port)
        world = World(self._bench.info, self._numbers.start, keeper, self._bench.copy)
        await world.make()
        pending = iter(self._numbers)
        await asyncio.gather(*(self._client(world, pending) for _ in range(CONNECTIONS)))
        for sent in self._slow:
            await self._ask_again(sent)
        await self._check(world)
        await world.end()
        await keeper.close()
        self._bench.read_log()

    async def _client(self, world: World, pending: Iterator[int]) -> None:
        connection = Connection(self._bench.info.port)
        for number in pending:
            sent = self._requests.make(number, world)
            answer = await connection.send(sent.data, is_head=sent.is_head, closes=sent.closes, is_cut=sent.is_cut)
            self._judge(sent, answer)
        await connection.close()

    def _judge(self, sent: Sent, answer: Answer) -> None:
        tally = self._tally
        tally.requests += 1
        tally.routes.add(sent.operation)
        if sent.is_cut:
            return
        tally.statuses[answer.status] += 1
        if answer.status < 300:
            tally.well.add(sent.operation)
        if answer.seconds > tally.slowest[0]:
            tally.slowest = answer.seconds, sent.operation
        if problem := _problem(answer):
            self._bench.report(problem, sent, answer)
        elif answer.seconds > SLOW_SECONDS:
            self._slow.append(sent)

    async def _ask_again(self, sent: Sent) -> None:
        """A slow answer counts if it is slow whenever it is asked for, with nothing else to do."""
        self._tally.retried += 1
        connection = Connection(self._bench.info.port)
        for _ in range(SLOW_TRIES):
            answer = await connection.send(sent.data, is_head=sent.is_head, closes=True)
            if answer.seconds <= SLOW_SECONDS:
                return
        self._bench.report(f"took more than {SLOW_SECONDS:.0f} s, {SLOW_TRIES + 1} times", sent, answer)

    async def _check(self, world: World) -> None:
        """The service still does what it should, and has not grown."""
        data = os.urandom(2000)
        path = f"/{world.container}/check"
        await world.ask("PUT", "{ws}/computes/check", _COMPUTE)
        body = {"runId": "check", "status": "Running", "tags": {"a": "b"}}
        await world.ask("PATCH", "/history/v1.0{ws}/experiments/check/runs/check", body)
        run = await world.ask("GET", "/history/v1.0{ws}/runs/check")
        assert run["tags"] == {"a": "b"}, run
        store = {"name": "check", "dataStoreType": "AzureBlob", "azureStorageSection": _section(world)}
        with suppress(AssertionError):
            await world.ask("POST", "/datastore/v1.0{ws}/datastores", store)
        version = {"x-ms-version": VERSION["x-ms-version"]}
        await world.ask("PUT", path, data=data, x_ms_blob_type="BlockBlob", **version)
        await world.ask("GET", path, **version)
        self._bench.measure()


_COMPUTE = {
    "location": "local",
    "properties": {"computeType": "AmlCompute", "properties": {"scaleSettings": {"maxNodeCount": 1}}},
}


def _section(world: World) -> dict[str, str]:
    names = {"accountName": world.account, "containerName": world.container}
    return {**names, "credentialType": "AccountKey", "credential": KEY}


_MESSAGE = re.compile(rb'"[mM]essage": ?"([^"]*)')


def _problem(answer: Answer) -> str:
    if answer.status == -1:
        return f"no answer within {HANG_SECONDS:.0f} s"
    if answer.status == 0:
        return "the connection ended without an answer"
    if answer.status >= 500 and answer.status != 501:
        return f"answered {answer.status}"
    return ""


class Bench:
    """A service in a throw-away home, deep in a folder of its own, and what was found."""

    def __init__(self, folder: Path, tally: Tally, saved: Path | None = None) -> None:
        self.folder, self.tally, self._saved = folder, tally, saved
        self.home = Home(folder / "a" / "b" / "c" / "home")
        self.user = folder / "user"
        self.copy = folder / "copy"
        for path in (self.copy, self.home.path, self.user, folder / "tmp", folder / "a/b/c/work"):
            path.mkdir(parents=True)
        (self.copy / "s.py").write_text("print(1)\n")
        self.home.create()
        self._log_read = 0
        self._process = self._start()
        try:
            self.info = self._find()
        except BaseException:
            self._process.kill()
            raise

    def _start(self) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).parents[3])
        own = {
            "AZUREML_WRAPPER_HOME": str(self.home.path),
            "HOME": str(self.user),
            "TMPDIR": str(self.folder / "tmp"),
            "PYTHONPATH": root,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "tests.faults.fuzzing.service", "--home", str(self.home.path), "--idle", "0"]
        self._output = (self.folder / "output").open("ab")
        return subprocess.Popen(
            command,
            cwd=self.folder / "a/b/c/work",
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    def _find(self) -> ServiceInfo:
        found = lambda: service_process.find(self.home) or self._process.poll() is not None  # noqa: E731
        until(found, seconds=START_SECONDS, tell=self._log)
        info = service_process.find(self.home)
        assert info, self._log()
        return info

    def _log(self) -> str:
        return (self.folder / "output").read_text(errors="replace")[-3000:]

    def report(self, problem: str, sent: Sent, answer: Answer) -> None:
        """Remember a finding: one for each kind of it on each route."""
        detail = _MESSAGE.search(answer.body[:1000]) if answer.status >= 500 else None
        key = f"{problem}: {sent.operation}: {detail[1].decode(errors='replace')[:100] if detail else ''}"
        if key in self.tally.findings:
            return
        text = f"request {sent.number} ({sent.operation}) {problem}\n{sent.data[:4000]!r}\n{answer.body[:1500]!r}"
        self.tally.findings[key] = text
        if self._saved:
            self._saved.mkdir(parents=True, exist_ok=True)
            name = hashlib.sha256(key.encode()).hexdigest()[:12]
            (self._saved / f"{name}.request").write_bytes(sent.data)
            (self._saved / f"{name}.txt").write_text(text)

    def read_log(self) -> None:
        """An unforeseen error is logged with its traceback, also if no request has caused it."""
        text = self.home.log_file.read_bytes() if self.home.log_file.exists() else b""
        # The service begins a new file now and then.
        new = text[self._log_read :] if len(text) >= self._log_read else text
        self._log_read = len(text)
        for found in _TRACEBACK.findall(new.decode(errors="replace")):
            self.tally.findings.setdefault(f"logged {found.splitlines()[-1][:150]}", f"logged: {found}")

    def fail(self, problem: str) -> None:
        self.tally.findings.setdefault(problem, problem)

    def measure(self) -> None:
        """The most memory that the service has used."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        used = {name: value for name, _, value in (line.partition(":") for line in lines)}
        self.tally.peak = int(used["VmHWM"].split()[0]) / 1024
        if self.tally.peak > MEMORY_BOUND:
            self.fail(f"the service uses more than {MEMORY_BOUND} MiB")

    def close(self) -> None:
        """Stop the service, and look at what it leaves."""
        if self._process.poll() is not None:
            self.fail(f"the service has ended: {self._process.returncode}\n{self._log()}")
        self._process.terminate()
        self._process.wait()
        self._output.close()
        with closing(sqlite3.connect(f"file:{self.home.database}?mode=ro", uri=True)) as database:
            found = database.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            self.fail(f"the database is damaged: {found}")
        for path in self.outside():
            self.fail(f"written outside of the home: {path}")

    def outside(self) -> list[str]:
        """Files that the service has written next to its home, or into the folders of its user."""
        own = {"output", "copy/s.py"}
        # What builds download, where uv keeps it for all programs of the user.
        downloads = self.folder / "user" / ".cache" / "uv"
        found = (path for path in self.folder.rglob("*") if not path.is_relative_to(self.home.path))
        found = (path for path in found if not path.is_relative_to(downloads))
        names = [str(path.relative_to(self.folder)) for path in found if not path.is_dir()]
        return sorted(name for name in names if name not in own)


@contextmanager
def bench(folder: Path, tally: Tally, saved: Path | None = None) -> Iterator[Bench]:
    made = Bench(folder, tally, saved)
    try:
        yield made
    finally:
        made.close()


def fuzz(made: Bench, requests: Requests, numbers: range) -> Iterator[None]:
    """Send the requests with these numbers; yields after each round."""
    for begin in range(numbers.start, numbers.stop, ROUND):
        asyncio.run(Round(made, requests, range(begin, min(begin + ROUND, numbers.stop))).run())
        yield

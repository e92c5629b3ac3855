"""The library runs beside other threads of its users: it leaves alone what belongs to the whole process.

Standard streams, logging, warnings, environment variables, the current folder, signal handlers. The service, its
executor's programs and the drivers of jobs are processes of their own, and so is the command `aml`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.source import FILES, PACKAGE, Function, tree

# Modules that run in processes of their own.
OWN_PROCESS = ("cli/", "local/executor/", "local/driver/", "local/server.py", "local/app.py")
# Function → why it may change the process.
ALLOWED = {
    "messages.py quiet_sdk": "filters of the SDK's loggers, which pass the records of all other threads",
    "connection/connections.py connect_azure": "a variable that an earlier local connection has set, under a lock",
    "connection/local.py _start": "switches the SDK's telemetry off, which the SDK reads at its import",
    "connection/local.py _prepare_sdk": "one handler more, for a logger of azure-identity",
    "connection/local.py trust_local": "the SDK reads addresses, certificates and proxies from variables only",
    "connection/local.py variables_restored": "for services of a `with` block, which restores the variables",
    "connection/local_api.py service": "for the duration of a `with` block, which is what it is for",
    "v2/client.py _cloud_restored": "a variable that SDK v2 itself sets when a client is created",
    "testing.py local_service_home": "a fixture of pytest, which runs one test at a time",
}
CALLS = {
    *("redirect_stdout", "redirect_stderr", "catch_warnings", "simplefilter", "filterwarnings", "captureWarnings"),
    *("basicConfig", "dictConfig", "fileConfig", "setLevel", "addHandler", "removeHandler", "addFilter"),
    *("chdir", "fchdir", "putenv", "unsetenv", "umask", "setdefaulttimeout", "setlocale", "setrecursionlimit"),
    *("setLoggerClass", "setLogRecordFactory", "setswitchinterval", "settrace", "setprofile", "set_event_loop"),
}
QUALIFIED = {"logging.disable", "signal.signal", "signal.alarm", "random.seed", "gc.disable", "atexit.register"}
CHANGING = {"update", "setdefault", "pop", "popitem", "clear"}
STREAMS = {"stdout", "stderr", "stdin", "excepthook", "displayhook", "path", "argv"}


def changes(file: Path) -> Iterator[tuple[str, str]]:
    """(function, what it changes) for each change of the process in a file."""
    for function, node in _nodes(tree(file), "the module itself"):
        what = _change(node)
        if what:
            yield function, what


def _nodes(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, Function) and function == "the module itself" else function
        yield inside, child
        yield from _nodes(child, inside)


def _change(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _called(node)
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign | ast.Delete):
        targets = node.targets
    elif isinstance(node, ast.AugAssign | ast.AnnAssign):
        targets = [node.target]
    flat = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return next((ast.unparse(target) for target in flat if _is_of_process(target)), "")


def _called(node: ast.Call) -> str:
    name = ast.unparse(node.func)
    owner, _, last = name.rpartition(".")
    if last in CALLS or name in QUALIFIED or (last in CHANGING and owner == "os.environ"):
        return f"{name}(…)"
    # rich replaces sys.stdout and sys.stderr while a bar is shown, if it is not told otherwise.
    if last in ("Live", "Bar", "Status") and not _is_told(node):
        return f"{name}(…) without redirect_stdout=False, redirect_stderr=False"
    return ""


def _is_told(node: ast.Call) -> bool:
    told = {each.arg for each in node.keywords if isinstance(each.value, ast.Constant) and each.value.value is False}
    return {"redirect_stdout", "redirect_stderr"} <= told


def _is_of_process(target: ast.expr) -> bool:
    if isinstance(target, ast.Subscript):
        return ast.unparse(target.value) == "os.environ"
    if isinstance(target, ast.Attribute):
        owner = ast.unparse(target.value)
        return (owner == "sys" and target.attr in STREAMS) or (owner, target.attr) == ("os", "environ")
    return False


def library() -> list[Path]:
    return [file for file in FILES if not file.relative_to(PACKAGE).as_posix().startswith(OWN_PROCESS)]


def test_the_process_is_changed_only_where_that_is_listed():
    found = {
        f"{file.relative_to(PACKAGE).as_posix()} {function}": what
        for file in library()
        for function, what in changes(file)
    }
    assert {place: what for place, what in found.items() if place not in ALLOWED} == {}
    assert ALLOWED.keys() - found.keys() == set(), "what is listed and not there any more"


@pytest.mark.parametrize(
    "line",
    [
        "with contextlib.redirect_stdout(io.StringIO()): pass",
        "logging.disable(logging.ERROR)",
        "logging.getLogger('azure').setLevel('ERROR')",
        "with warnings.catch_warnings(): pass",
        "os.environ['A'] = 'b'",
        "del os.environ['A']",
        "os.environ.update(a)",
        "os.environ |= a",
        "before, sys.stdout = sys.stdout, other",
        "os.chdir('a')",
        "with contextlib.chdir('a'): pass",
        "signal.signal(signal.SIGTERM, f)",
        "Bar(console=console)",
    ],
)
def test_such_a_line_is_found(line):
    module = ast.parse(f"def f():\n    {line}\n")
    assert [what for _, node in _nodes(module, "") if (what := _change(node))]


@pytest.mark.parametrize("line", ["os.environ.get('A')", "own = dict(os.environ)", "own['A'] = 'b'", "disable(plan)"])
def test_a_harmless_line_is_not_found(line):
    assert [what for _, node in _nodes(ast.parse(line), "") if (what := _change(node))] == []

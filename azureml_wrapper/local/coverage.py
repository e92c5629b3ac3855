"""COVERAGE.md: what the local service supports, from its route tables.

`python -m azureml_wrapper.local.coverage` prints it, `--write FILE` writes it to a file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from azureml_wrapper.local import services
from azureml_wrapper.local.app import SERVICES
from azureml_wrapper.local.http.routing import Route, Runs
from azureml_wrapper.local.services.blob import handlers as blob

_HEAD = """\
# What the local Azure ML supports

Generated from the route tables (`python -m azureml_wrapper.local.coverage --write COVERAGE.md`). The response to any
other request is 501, with a message that names it. `{ws}` stands for
`/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}`.

The last column says what the token of a run may do, which every script gets:

""" + "".join(f"- {kind.name.lower()}: {kind.value}\n" for kind in Runs)


def text() -> str:
    """The whole file."""
    every = (*SERVICES, blob)
    count = sum(len(service.ROUTES) for service in every)
    parts = [
        _HEAD,
        f"{count} operations in {len(every)} services.\n",
        *(_section(service) for service in every),
    ]
    return "\n".join(parts)


def _section(service: ModuleType) -> str:
    table = ["| method | path | what | for runs |", "| --- | --- | --- | --- |", *_rows(service.ROUTES)]
    named = _named(service)
    head = [f"## {named.__name__.rpartition('.')[2]}", "", _first_line(named), ""]
    return "\n".join([*head, *(table if service.ROUTES else ["No operations yet."]), ""])


def _named(service: ModuleType) -> ModuleType:
    """What bears the service's name: a small service is a module, a large one a package that holds its routes."""
    return service if service.__package__ == services.__name__ else sys.modules[service.__package__ or ""]


def _rows(routes: Iterable[Route]) -> list[str]:
    return [f"| {' | '.join(_cells(route))} |" for route in routes]


def _cells(route: Route) -> tuple[str, ...]:
    return route.method, f"`{_path(route)}`", _first_line(route.handler), _for_runs(route)


def _for_runs(route: Route) -> str:
    return "no token" if route.public else route.access.name.lower()


def _path(route: Route) -> str:
    path = route.path.replace("{workspace_scope}", "{ws}").replace(":rest}", "}")
    query = "&".join(f"{name}={value}" for name, value in route.query.items() if value is not None)
    return (path + (f"?{query}" if query else "")).replace("|", "\\|")


def _first_line(documented: object) -> str:
    """The first line of a docstring; without one, the name in words."""
    lines = (documented.__doc__ or "").strip().splitlines()
    name = getattr(documented, "__name__", "").rsplit(".", 1)[-1]
    return (lines[0] if lines else f"{name.replace('_', ' ').capitalize()}.").replace("|", "\\|")


def main(arguments: list[str] | None = None) -> None:
    """Print the file, or write it."""
    parser = argparse.ArgumentParser(prog="python -m azureml_wrapper.local.coverage", description=__doc__)
    parser.add_argument("--write", metavar="FILE", type=Path, help="write to FILE instead of printing")
    given = parser.parse_args(arguments)
    if given.write:
        given.write.write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main()

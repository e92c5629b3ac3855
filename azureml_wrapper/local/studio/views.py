"""What the templates show: rows, durations, bars, a run's files and links, and HTML from templates.

Users' values are always escaped, and no page loads anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from azureml_wrapper.local.domain.addresses import Addresses
from azureml_wrapper.local.domain.computes import Compute
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.domain.metrics import Series
from azureml_wrapper.local.domain.runs import OTHER_PYTHON, Run
from azureml_wrapper.local.domain.storage import of_run
from azureml_wrapper.local.domain.workspaces import Workspace
from azureml_wrapper.local.store.artifacts import ArtifactStore
from azureml_wrapper.local.store.metrics import MetricStore
from azureml_wrapper.local.studio import views

if TYPE_CHECKING:
    from jinja2 import Environment

REFRESH_SECONDS = 3
# Size of a timeline and of a metric's curve, in SVG units.
WIDTH, HEIGHT = 300.0, 28.0
POINTS_DRAWN = 300
METRICS_SHOWN = 50
# Beyond that, a page says only that there are more: it costs what it shows, and reloads itself every few seconds.
POINTS_COUNTED = 10_000
FILES_SHOWN = 300
LOG_BYTES = 64 * 1024
# In order of preference: output of the user's script first, then logs of the service.
_LOGS = ("user_logs/", "azureml-logs/70_driver_log", "logs/azureml/executionlogs.txt", "azureml-logs/")
_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp")


class Links:
    """The addresses of a workspace's pages, with the key and the workspace."""

    def __init__(self, addresses: Addresses, workspace: Workspace) -> None:
        self._base = "/studio/" + addresses.open_key
        scope = f"/subscriptions/{workspace.subscription}/resourcegroups/{workspace.resource_group}"
        self._query = "?wsid=" + quote(f"{scope}/workspaces/{workspace.name}")
        self.workspace_name = workspace.name

    @property
    def home(self) -> str:
        return self._base + self._query

    @property
    def runs(self) -> str:
        return f"{self._base}/runs{self._query}"

    def run(self, run_id: str, before: str | None = None) -> str:
        """A run's page; with `before`, the token of a page of its children."""
        page = f"&before={quote(before)}" if before else ""
        return f"{self._base}/runs/{quote(run_id, safe='')}{self._query}{page}"

    def file(self, run_id: str, name: str) -> str:
        return f"{self._base}/runs/{quote(run_id, safe='')}/files/{quote(name)}{self._query}"

    def experiment(self, name: str) -> str:
        return f"{self._base}/experiments/{quote(name, safe='')}{self._query}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A run in a list. `bar` is its place on its parent's timeline: left end and width."""

    run: Run
    duration: str
    started: str
    bar: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """The run's name, else its id."""
        # `Run.child_run("a")` sends the name `run_<parent's id>>a`, `start_logging()` sends `run_<id>`, and history
        # shows the id if no name was given.
        name = (self.run.name or "").rsplit(">", 1)[-1].removeprefix(f"run_{self.run.run_id}")
        shown = self.run.display_name
        return shown if shown and shown != self.run.run_id else name or self.run.run_id

    @property
    def error(self) -> str:
        """The error message of the run; empty if it has none."""
        error = self.run.error or {}
        return str((error.get("error") or error).get("message") or error or "")

    @property
    def reused(self) -> str | None:
        """The run whose outputs this one reuses."""
        return self.run.origin_id if self.run.origin_id != self.run.run_id else None


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of a run: its last value, how many it has, and the points of its curve, if any."""

    name: str
    value: str
    count: str
    curve: str | None = None


def row(run: Run, now: datetime) -> Row:
    return Row(run=run, duration=duration(run, now), started=moment(run.started or run.created))


def rows(runs: list[Run], now: datetime) -> list[Row]:
    return [row(run, now) for run in runs]


def timeline(runs: list[Run], now: datetime) -> list[Row]:
    """The steps of a run, oldest first, each with its bar."""
    starts = [run.started or run.created for run in runs]
    if not starts:
        return []
    begin = min(starts)
    whole = max((max(run.ended or now for run in runs) - begin).total_seconds(), 0.001)
    made = []
    for run, start in zip(runs, starts, strict=True):
        left = (start - begin).total_seconds() / whole * WIDTH
        width = ((run.ended or now) - start).total_seconds() / whole * WIDTH
        bar = (round(left, 1), round(max(width, 2.0), 1)) if run.started else None
        made.append(Row(run=run, duration=duration(run, now), started=moment(start), bar=bar))
    return made


def differences(run: Run, compute: Compute | None) -> list[str]:
    """How the run differs from one in Azure: its Python, and what its compute does not have here."""
    of_job = [run.properties[OTHER_PYTHON]] if OTHER_PYTHON in run.properties else []
    return [*of_job, *(compute.differences if compute else ())]


def datasets(run: Run) -> dict[str, str]:
    """The sources of the input datasets that MLflow has logged, by name and digest."""
    return {f"{each['name']} ({each['digest']})": each["source"] for each in run.datasets}


def metrics(store: MetricStore, run: Run) -> tuple[list[Metric], bool]:
    """The run's first metrics, and whether it has more."""
    place = run.workspace_id, run.origin_id
    found = []
    for series in store.series(*place, limit=METRICS_SHOWN + 1):
        number_of = store.count(*place, series.name, POINTS_COUNTED + 1)
        count = f"{POINTS_COUNTED:,}+" if number_of > POINTS_COUNTED else str(number_of)
        drawn = 1 if len(series.columns) != 1 else POINTS_DRAWN
        cells = [dict(point.data) for point in store.newest(*place, series.name, drawn)]
        found.append(_metric(series, cells, count))
    return found[:METRICS_SHOWN], len(found) > METRICS_SHOWN


def _metric(series: Series, cells: list[dict[str, Any]], count: str) -> Metric:
    if len(series.columns) != 1:
        return Metric(name=series.name, value=f"table of {count} rows", count=count)
    values = [cell for point in cells for cell in point.values()]
    return Metric(name=series.name, value=number(values[-1]) if values else "", count=count, curve=curve(values))


def curve(values: list[Any]) -> str | None:
    """The points of an SVG polyline through values; None if there are fewer than two numbers."""
    if len(values) < 2 or not all(isinstance(value, (int, float)) for value in values):
        return None
    low, high = min(values), max(values)
    step, span = WIDTH / (len(values) - 1), (high - low) or 1
    margin = 2.0
    height = HEIGHT - 2 * margin
    return " ".join(
        f"{place * step:.1f},{margin + height - (value - low) / span * height:.1f}"
        for place, value in enumerate(values)
    )


def number(value: Any) -> str:
    """A cell as a string, with six digits of a float."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def moment(instant: datetime | None) -> str:
    """`2026-11-21 14:03:22 UTC`."""
    return instant.strftime("%Y-%m-%d %H:%M:%S UTC") if instant else ""


def duration(run: Run, now: datetime) -> str:
    """The run's duration; empty before it starts."""
    # The clock may have been set back since the start.
    return words(max((run.ended or now) - run.started, timedelta())) if run.started else ""


def words(span: timedelta) -> str:
    """`0.42 s`, `12.3 s`, `4 min 05 s`, `2 h 07 min`."""
    seconds = max(span.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


@dataclass(frozen=True, kw_only=True)
class Log:
    """The end of a log, which omits the first `skipped` bytes."""

    name: str
    text: str
    skipped: int


def file_names(artifacts: ArtifactStore, workspace: Workspace, run: Run) -> list[str]:
    """The paths of the run's first files."""
    return [file.path for file in artifacts.page(workspace, of_run(run.run_id)).items[:FILES_SHOWN]]


def file_path(artifacts: ArtifactStore, workspace: Workspace, run: Run, name: str) -> Path:
    """The path of a run's file; raise `NotFound` if it is missing, `Invalid` for a name outside the run's folder."""
    found = artifacts.file(workspace, artifacts.get(workspace, of_run(run.run_id), name))
    if not found.is_file():
        raise NotFound(f"Run {run.run_id} has no file {name!r}.")
    return found


def log(artifacts: ArtifactStore, workspace: Workspace, run: Run, given: list[str]) -> Log | None:
    """The end of the most relevant log; None if the run has none."""
    for wanted in _LOGS:
        for name in given:
            if name.startswith(wanted):
                return _tail(file_path(artifacts, workspace, run, name), name)
    return None


def is_image(name: str) -> bool:
    """Whether browsers show the file as an image."""
    return name.lower().endswith(_IMAGES)


def _tail(file: Path, name: str) -> Log:
    with file.open("rb") as stream:
        size = stream.seek(0, 2)
        skipped = max(size - LOG_BYTES, 0)
        stream.seek(skipped)
        return Log(name=name, text=stream.read(LOG_BYTES).decode("utf-8", "replace"), skipped=skipped)


TEMPLATES = Path(__file__).parent / "templates"


def html_response(template: str, status: int = 200, **values: Any) -> Response:
    """A rendered template, with headers that forbid everything that a page to read does not need."""
    text = _environment().get_template(template).render(values)
    return HTMLResponse(text, status, headers=_headers())


@lru_cache
def _environment() -> Environment:
    # Imported for the first page, because it would be a tenth of the service's start.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(style=_style(), is_image=views.is_image, refresh=None, links=None)
    return made


@lru_cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


@lru_cache
def _headers() -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        # The address contains the key.
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }

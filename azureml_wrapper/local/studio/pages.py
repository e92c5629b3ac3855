"""HTML from templates. Values of users are always escaped, and no page loads anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from azureml_wrapper.local.studio import views

if TYPE_CHECKING:
    from jinja2 import Environment

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

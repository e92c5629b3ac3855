from __future__ import annotations

from azureml_wrapper.local.http.routing import Route

ROUTES: tuple[Route, ...] = ()

from __future__ import annotations

from azureml_wrapper.local.http.application import Door, bearer, json_faults
from azureml_wrapper.local.http.routing import Route, Router
from azureml_wrapper.local.services.context import Context

ROUTES: tuple[Route, ...] = ()


def door(context: Context) -> Door:
    """The storage side of the application: its routes, its signatures, its XML errors."""
    return Door(
        router=Router(ROUTES),
        authenticate=bearer(context.tokens),
        answer_fault=json_faults(context.clock),
    )

"""What a client asks before it knows anything: the cloud's addresses, a token, the services' addresses."""

from __future__ import annotations

from azureml_wrapper.local.http.routing import Route
from azureml_wrapper.local.services.discovery import handlers

ROUTES = (
    Route("GET", "/discovery/{key}", handlers.get_services, public=True),
    Route("GET", "/metadata/{key}/endpoints", handlers.get_cloud, public=True),
    Route("POST", "/msi/{key}/token", handlers.get_token, public=True),
)

"""Published pipelines and pipeline endpoints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from azureml_wrapper.local.domain.clock import Clock
from azureml_wrapper.local.domain.errors import Conflict, NotFound
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.published import ACTIVE, PipelineEndpoint, PublishedPipeline
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.documents import Document, Documents


class PublishedStore:
    """Published pipelines and endpoints by workspace and id."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._pipelines = Documents(database, clock, "published pipeline")
        self._endpoints = Documents(database, clock, "pipeline endpoint")

    def add(self, workspace: str, pipeline: PublishedPipeline) -> Document:
        return self._pipelines.add(workspace, pipeline.pipeline_id, _body(pipeline, "pipeline_id"))

    def put(self, workspace: str, pipeline: PublishedPipeline) -> Document:
        return self._pipelines.put(workspace, pipeline.pipeline_id, _body(pipeline, "pipeline_id"))

    def document(self, workspace: str, pipeline_id: str) -> Document:
        """A published pipeline with its times, for `read_pipeline`; raise `NotFound` if it is missing."""
        return self._pipelines.get(workspace, pipeline_id)

    def pipeline(self, workspace: str, pipeline_id: str) -> PublishedPipeline:
        """Raise `NotFound` if it is missing."""
        return read_pipeline(self.document(workspace, pipeline_id))

    def all(self, workspace: str, *, active_only: bool) -> list[Document]:
        """Published pipelines, newest first."""
        found = reversed(self._pipelines.latest(workspace))
        return [document for document in found if not active_only or document.body["status"] == ACTIVE]

    def add_endpoint(self, workspace: str, endpoint: PipelineEndpoint) -> Document:
        """Store a new endpoint; raise `Conflict` if its name is taken."""
        with self._database.transaction():
            self._check_name(workspace, endpoint)
            return self._endpoints.add(workspace, endpoint.endpoint_id, _body(endpoint, "endpoint_id"))

    def put_endpoint(self, workspace: str, endpoint: PipelineEndpoint) -> Document:
        """Like `add_endpoint`, replacing its earlier state. All of its versions must be published."""
        with self._database.transaction():
            self._check_name(workspace, endpoint)
            return self._endpoints.put(workspace, endpoint.endpoint_id, _body(endpoint, "endpoint_id"))

    def endpoint_document(self, workspace: str, endpoint_id: str) -> Document:
        """Raise `NotFound` if it is missing."""
        return self._endpoints.get(workspace, endpoint_id)

    def endpoint(self, workspace: str, endpoint_id: str) -> PipelineEndpoint:
        """Raise `NotFound` if it is missing."""
        return read_endpoint(self.endpoint_document(workspace, endpoint_id))

    def endpoint_by_name(self, workspace: str, name: str) -> Document:
        """The active endpoint of that name; raise `NotFound` if it is missing or disabled."""
        for document in self.endpoints(workspace, active_only=True):
            if document.body["name"] == name:
                return document
        raise NotFound(f"Could not find pipeline endpoint with name {name!r}.")

    def endpoints(self, workspace: str, *, active_only: bool) -> list[Document]:
        """Endpoints, newest first."""
        found = reversed(self._endpoints.latest(workspace))
        return [document for document in found if not active_only or document.body["status"] == ACTIVE]

    def _check_name(self, workspace: str, endpoint: PipelineEndpoint) -> None:
        for other in self._endpoints.latest(workspace):
            if other.body["name"] == endpoint.name and other.key != endpoint.endpoint_id:
                # Azure's words, also if the endpoint is disabled.
                raise Conflict(
                    f"Failed to add item to collection: PipelineEndpoint, id: {other.key}, error code: Conflict"
                )
        for pipeline_id in endpoint.versions.values():
            self._pipelines.get(workspace, pipeline_id)


def read_pipeline(document: Document) -> PublishedPipeline:
    return PublishedPipeline(
        pipeline_id=document.key, **{**document.body, "values": Values(**document.body["values"])}
    )


def read_endpoint(document: Document) -> PipelineEndpoint:
    return PipelineEndpoint(endpoint_id=document.key, **document.body)


def _body(item: PublishedPipeline | PipelineEndpoint, key: str) -> dict[str, Any]:
    fields = asdict(item)
    del fields[key]
    return fields

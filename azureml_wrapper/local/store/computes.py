"""The compute clusters of the workspaces."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from azureml_wrapper.local.domain.clock import Clock, offset_time, stored_time
from azureml_wrapper.local.domain.computes import Compute, Priority, check_compute
from azureml_wrapper.local.domain.errors import Invalid, NotFound
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.documents import Document, Documents


class ComputeStore:
    """Computes by name, ignoring case."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._documents = Documents(database, clock, "compute")
        self._clock = clock

    def find(self, workspace: str, name: str) -> Compute | None:
        document = self._documents.find(workspace, name.lower())
        return _compute(document) if document else None

    def get(self, workspace: str, name: str) -> Compute:
        """Like `find`, but raise `NotFound`, in the words of Azure's execution service, if it is missing."""
        found = self.find(workspace, name)
        if found is None:
            raise NotFound(f"Unknown compute target '{name}'.")
        return found

    def all(self, workspace: str) -> list[Compute]:
        """Every compute, oldest first."""
        return [_compute(document) for document in self._documents.latest(workspace)]

    def put(self, workspace: str, compute: Compute) -> bool:
        """Create or change a compute. Returns whether it is new; raise `Invalid` for what Azure refuses."""
        check_compute(compute)
        before = self.find(workspace, compute.name)
        if before:
            _check_change(before, compute)
            compute = replace(compute, created=before.created, modified=self._clock.now())
        self._documents.put(workspace, compute.name.lower(), _body(compute))
        return before is None

    def delete(self, workspace: str, name: str) -> None:
        self.get(workspace, name)
        self._documents.delete(workspace, name.lower())


def _check_change(before: Compute, after: Compute) -> None:
    for name in ("vm_size", "priority", "subnet"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            raise Invalid(
                f"Compute {before.name} exists with {name} {old!s}, which cannot be changed to {new!s}. "
                "Only scale settings, tags and identity can be changed. Delete it first, or use another name."
            )


def _body(compute: Compute) -> dict[str, Any]:
    times = {"created": offset_time(compute.created), "modified": offset_time(compute.modified)}
    return {**asdict(compute), **times, "priority": compute.priority.value}


def _compute(document: Document) -> Compute:
    body = document.body
    times = {name: stored_time(body[name]) for name in ("created", "modified")}
    return Compute(**{**body, **times, "priority": Priority(body["priority"])})

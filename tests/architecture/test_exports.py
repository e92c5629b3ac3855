"""The public names: these, and no others."""

from __future__ import annotations

import azureml_wrapper
from azureml_wrapper import local

PUBLIC = ["PipelineStep", "PipelineWrapper", "RunWrapper", "ScriptWrapper", "WorkspaceWrapper"]


def test_the_package_shows_what_it_promises():
    assert azureml_wrapper.__all__ == PUBLIC
    assert [name for name in dir(azureml_wrapper) if not name.startswith("__")] == PUBLIC


def test_each_name_is_the_class_of_that_name():
    for name in PUBLIC:
        assert getattr(azureml_wrapper, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(azureml_wrapper, "Workspace")


def test_the_local_azure_ml_has_four_verbs():
    assert local.__all__ == ["service", "start", "stop", "workspace"]
    assert all(callable(getattr(local, name)) for name in local.__all__)

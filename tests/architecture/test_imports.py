"""What importing costs: nothing heavy comes along."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "azureml.core",
    "azureml.pipeline",
    "azureml.data",
    "pandas",
    "numpy",
    "pydantic",
    "yaml",
    "requests",
    "starlette",
    "rich",
)


def loaded(statement: str) -> set[str]:
    """The heavy modules that a fresh interpreter has after the statement."""
    code = f"import sys; {statement}; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import azureml_wrapper",
        "from azureml_wrapper import PipelineStep, PipelineWrapper, RunWrapper, ScriptWrapper, WorkspaceWrapper",
        "import azureml_wrapper.errors, azureml_wrapper.config, azureml_wrapper.local, azureml_wrapper.connection",
        "from azureml_wrapper import WorkspaceWrapper; WorkspaceWrapper('a', 'b', 'local')",
        # `aml status` of many job folders is not to wait for the SDK.
        "import azureml_wrapper.cli.work.job_folders",
        # Neither are those that list; tables take rich, and lists as JSON do not.
        "import azureml_wrapper.cli.work.runs, azureml_wrapper.cli.work.publishing",
        # `aml init` and `aml schema` only copy files.
        "import azureml_wrapper.cli.work.configs",
    ],
)
def test_nothing_heavy_is_imported(statement):
    assert loaded(statement) == set()


def test_a_config_brings_pydantic_and_no_sdk():
    statement = (
        "from azureml_wrapper import PipelineStep;"
        "PipelineStep.from_config("
        "dict(ws_name='a', resource_group='b', subscription_id='c', step_name='d', script_name='e'))"
    )
    assert "pydantic" in loaded(statement)
    assert not any(name.startswith("azureml") for name in loaded(statement))


def test_the_service_s_process_has_no_sdk():
    assert loaded("import azureml_wrapper.local.server") & {"azureml.core", "pandas", "numpy", "pydantic"} == set()

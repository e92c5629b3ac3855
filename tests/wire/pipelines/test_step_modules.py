"""New steps are sent with two requests each, and what is sent is what the SDK would send."""

from __future__ import annotations

from collections import Counter

import pytest
import urllib3
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline, PipelineParameter
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.pipelines import step_modules
from azureml_wrapper.pipelines.step_modules import send_plainly

pytestmark = pytest.mark.local_only

WHOLE = ("ModuleCreationInfo", "PipelineRunCreationInfoWithGraph")


@pytest.fixture(scope="module")
def workspace(ws):
    wrapper = WorkspaceWrapper.from_workspace(ws)
    wrapper.register_env("modules_env", [])
    wrapper.register_compute("modules-cpu")
    return wrapper


@pytest.fixture
def scripts(tmp_path, unique):
    (tmp_path / "main.py").write_text(f"print({unique()!r})")
    return str(tmp_path)


@pytest.fixture
def requests(monkeypatch):
    """What this process asks from now on."""
    asked, original = [], urllib3.HTTPConnectionPool.urlopen

    def urlopen(self, method, url, *args, **kwargs):
        asked.append(f"{method} {url}")
        return original(self, method, url, *args, **kwargs)

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)
    return asked


def steps(ws, folder, count):
    """A chain with all that a step may have; a number is a default that the service keeps as a string."""
    made, before = [], None
    for number in range(count):
        output = OutputFileDatasetConfig(f"out{number}")
        given = ["--lr", PipelineParameter(f"lr{number}", 0.5 + number), "--n", 3, "--out", output]
        given += ["--in", before.as_input(f"in{number}")] if before else []
        made.append(PythonScriptStep("main.py", f"s{number}", given, "modules-cpu", source_directory=folder))
        before = output
    return made


def test_what_is_sent_is_what_the_sdk_would_send(ws, workspace, scripts, unique, monkeypatch):
    pipeline = Pipeline(ws, steps(ws, scripts, 3))
    send_plainly(pipeline)
    serializer = pipeline._graph_context.workflow_provider.module_provider._service_caller._caller._serialize
    kinds, own, theirs = Counter(), step_modules.as_json, type(serializer).body

    def compared(model):
        found = own(model)
        # The function calls itself for the models in a model.
        if type(model).__name__ in WHOLE:
            assert found == theirs(serializer, model, type(model).__name__)
        kinds[type(model).__name__] += 1
        return found

    serializer.body = lambda data, kind, **how: compared(data)
    monkeypatch.setattr(step_modules, "as_json", compared)
    run = pipeline.submit(unique("exp"))
    run.cancel()
    assert kinds["ModuleCreationInfo"] == 3
    assert kinds["PipelineRunCreationInfoWithGraph"] == 1


def test_each_new_step_is_sent_with_two_requests(workspace, scripts, requests, unique):
    scope = workspace.scope
    names = {"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id}
    step = {"script_name": "main", "script_directory": scripts}
    config = {
        **names,
        "env_name": "modules_env",
        "compute_name": "modules-cpu",
        "steps": [{"step_name": f"s{number}", **step} for number in range(8)],
    }
    pipeline = PipelineWrapper.from_config(config)
    requests.clear()
    run = pipeline.run(unique("exp"), wait=False)
    run.cancel()
    asked = Counter(request.split()[0] for request in requests if "/Modules" in request)
    assert asked == {"GET": 8, "POST": 8}

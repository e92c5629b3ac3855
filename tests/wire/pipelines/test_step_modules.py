"""New steps are sent in one request, and what is sent is what the SDK would send."""

from __future__ import annotations

import copy
import json
from collections import Counter

import pytest
import urllib3
from azureml._base_sdk_common.tracking.tracking_info_registry import TrackingInfoRegistry
from azureml._restclient.snapshots_client import SnapshotsClient
from azureml.core import RunConfiguration
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline, PipelineParameter
from azureml.pipeline.core._module_builder import _ModuleBuilder
from azureml.pipeline.steps import PythonScriptStep

from azureml_wrapper import PipelineWrapper, WorkspaceWrapper
from azureml_wrapper.pipelines import step_modules
from azureml_wrapper.pipelines.step_modules import send_plainly, with_text_made_once

pytestmark = pytest.mark.local_only


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


class Sent:
    """What a pipeline sends: its new modules, and its graph; the ids, which are random, by their places."""

    def __init__(self, pipeline, monkeypatch):
        caller = pipeline._graph_context.workflow_provider.module_provider._service_caller
        serializer = caller._caller._serialize
        self.modules, self.graphs = [], []
        self._theirs = type(serializer).body
        create, body = caller.create_module_async, serializer.body

        def creating(creation_info):
            self.modules.append(self._theirs(serializer, creation_info, "ModuleCreationInfo"))
            return create(creation_info)

        def sending(data, kind, **how):
            found = body(data, kind, **how)
            if kind == "PipelineRunCreationInfoWithGraph":
                self.graphs.append(found)
            return found

        def converting(model):
            found = as_json(model)
            if type(model).__name__ == "ModuleCreationInfo":
                self.modules.append(found)
                assert found == self._theirs(serializer, model, "ModuleCreationInfo")
            return found

        as_json = step_modules.as_json
        monkeypatch.setattr(step_modules, "as_json", converting)
        monkeypatch.setattr(caller, "create_module_async", creating)
        serializer.body = sending

    def seen(self):
        [graph] = self.graphs
        nodes = graph["Graph"]["ModuleNodes"]
        ids = {node[key]: f"{key} {place}" for place, node in enumerate(nodes) for key in ("Id", "ModuleId")}
        text = json.dumps(graph, sort_keys=True)
        for found, place in ids.items():
            text = text.replace(found, place)
        return sorted(json.dumps(module, sort_keys=True) for module in self.modules), json.loads(text)


def test_what_is_sent_is_what_the_sdk_sends(ws, workspace, scripts, unique, monkeypatch):
    name, seen = unique("exp"), []
    for plainly in (False, True):
        pipeline = Pipeline(ws, steps(ws, scripts, 3))
        if plainly:
            send_plainly(pipeline)
        with monkeypatch.context() as patched:
            sent = Sent(pipeline, patched)
            # All modules are new in both.
            pipeline.submit(name, regenerate_outputs=True).cancel()
        seen.append(sent.seen())
    theirs, ours = seen
    assert len(theirs[0]) == 3
    assert ours == theirs


def config_of(workspace, scripts, count):
    scope = workspace.scope
    names = {"ws_name": scope.name, "resource_group": scope.resource_group, "subscription_id": scope.subscription_id}
    step = {"script_name": "main", "script_directory": scripts}
    return {
        **names,
        "env_name": "modules_env",
        "compute_name": "modules-cpu",
        "steps": [{"step_name": f"s{number}", **step} for number in range(count)],
    }


def test_all_new_steps_are_looked_for_in_one_request_and_sent_in_another(workspace, scripts, requests, unique):
    """What the SDK does for each step, the wrapper does once: requests, the folder's hash, git, the configuration."""
    pipeline = PipelineWrapper.from_config(config_of(workspace, scripts, 8))
    for expected in (["query", "batch"], ["query"]):
        requests.clear()
        pipeline.run(unique("exp"), wait=False).cancel()
        asked = [request.partition("/Modules/")[2] for request in requests if "/Modules" in request]
        assert asked == expected


def test_a_folder_and_a_configuration_are_read_once_for_all_steps(workspace, scripts, monkeypatch, unique):
    counts = Counter()

    def count(owner, name):
        original = getattr(owner, name)

        def counted(*given, **named):
            counts[name] += 1
            return original(*given, **named)

        monkeypatch.setattr(owner, name, counted)

    count(RunConfiguration, "__repr__")
    count(SnapshotsClient, "create_snapshot")
    count(TrackingInfoRegistry, "gather_all")
    hashing = _ModuleBuilder._default_content_hash_calculator
    monkeypatch.setattr(
        _ModuleBuilder,
        "_default_content_hash_calculator",
        staticmethod(lambda *given: counts.update(["hash"]) or hashing(*given)),
    )
    pipeline = PipelineWrapper.from_config(config_of(workspace, scripts, 8))
    pipeline.run(unique("exp"), wait=False).cancel()
    # The SDK asks git once more, for the run.
    assert counts == {"__repr__": 1, "create_snapshot": 1, "gather_all": 2, "hash": 1}


def test_a_folder_that_has_changed_gives_new_modules(workspace, scripts, requests, unique, tmp_path):
    built = PipelineWrapper.from_config(config_of(workspace, scripts, 2)).build()
    name, known = unique("exp"), []
    for text in ("print(1)", "print(2)"):
        (tmp_path / "main.py").write_text(f"# {name}\n{text}")
        run = built.submit(name, regenerate_outputs=True)
        run.cancel()
        known.append([node._module.id for node in built.graph.module_nodes])
        graph = run.get_graph()
        assert [node._module.id for node in graph.module_nodes] == known[-1]
    assert not set(known[0]) & set(known[1])


def test_a_copy_of_a_shared_configuration_is_written_anew():
    configuration = with_text_made_once(RunConfiguration())
    before = repr(configuration)
    changed = copy.deepcopy(configuration)
    changed.environment_variables = {"A": "1"}
    assert isinstance(configuration, RunConfiguration)
    assert (repr(configuration), repr(RunConfiguration())) == (before, before)
    assert json.loads(repr(changed))["environmentVariables"] == {"A": "1"}

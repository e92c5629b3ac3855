"""Modules by name, their versions, and ModuleStep."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from azureml.core import Dataset
from azureml.data import OutputFileDatasetConfig
from azureml.data.data_reference import DataReference
from azureml.pipeline.core import Module, ModuleVersion, PipelineData, PipelineParameter
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException
from azureml.pipeline.core.graph import InputPortDef, OutputPortDef
from azureml.pipeline.steps import ModuleStep

from tests.wire.pipelines.scripts import LIST, said

pytestmark = pytest.mark.local_only

ADD = """
    import pathlib, sys
    _, source, target, *words = sys.argv
    before = [path.read_text() for path in sorted(pathlib.Path(source).rglob("*.txt"))]
    folder = pathlib.Path(target)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.txt").write_text(" ".join([*before, *words]))
"""


@pytest.fixture
def module(ws, unique):
    return Module.create(ws, name=unique("module"), description="adds a word")


@pytest.fixture
def publish(ws, module, tmp_path):
    """`publish(version="1")`: a version of the module that adds words to a file."""
    folder, store = tmp_path / "module", ws.get_default_datastore().name
    folder.mkdir()
    (folder / "add.py").write_text(textwrap.dedent(ADD))
    # As in the SDK's examples, where all inputs have this name.
    source = InputPortDef(name="source", default_datastore_mode="mount", default_data_reference_name=store)
    target = OutputPortDef(name="target", default_datastore_name=store, default_datastore_mode="mount")

    def version(*, arguments=None, **more) -> ModuleVersion:
        given = [source if word == "SOURCE" else target if word == "TARGET" else word for word in arguments or ()]
        return module.publish_python_script(
            "add.py",
            "a version",
            inputs=[source],
            outputs=[target],
            params={"word": "initial"},
            source_directory=str(folder),
            arguments=given or None,
            **more,
        )

    return version


def test_a_module_has_versions_and_a_default(ws, module, publish):
    assert (module.status, module.default_version, module.module_version_list()) == ("Active", None, [])
    first = publish(version="1")
    publish(version="2", is_default=True)
    # Without a version it is the next one.
    publish()
    for found in (Module.get(ws, name=module.name), Module.get(ws, module_id=module.id)):
        assert [each.version for each in found.module_version_list()] == ["1", "2", "3"]
        assert (found.default_version, found.resolve().version) == ("2", "2")
        assert found.resolve("3").version == "3"
    found.set_default_version("1")
    found.set_description("other")
    again = Module.get(ws, name=module.name)
    assert (again.default_version, again.description) == ("1", "other")
    version = ModuleVersion.get(ws, module_version_id=first.module_version_id)
    assert (version.version, version.module_id, version.description) == ("1", module.id, "a version")
    assert version.module().name == module.name
    assert [port.name for port in version.interface.inputs if not port.skip_processing] == ["source"]


def test_modules_and_versions_are_disabled_and_enabled(ws, module, publish):
    version = publish(version="1")
    publish(version="2").disable()
    module.deprecate()
    assert Module.get(ws, name=module.name).status == "Deprecated"
    assert Module.get(ws, name=module.name).resolve().version == "1"
    module.enable()
    version.set_description("changed")
    version.deprecate()
    found = Module.get(ws, module_id=module.id)
    assert (found.status, found.resolve("2").status) == ("Active", "Disabled")
    assert (found.resolve("1").status, found.resolve("1").description) == ("Deprecated", "changed")


def test_what_is_wrong_with_a_module_is_said(ws, module, publish):
    with pytest.raises(ErrorResponseException, match=f"The name '{module.name}' belongs to another module"):
        Module.create(ws, name=module.name, description="")
    with pytest.raises(ErrorResponseException, match="Could not find a module with the name 'nobody'"):
        Module.get(ws, name="nobody")
    with pytest.raises(ErrorResponseException, match="Modules for Azure Data Lake Analytics are not supported"):
        module.publish("d", "adlcloud", [], [])
    publish(version="1")
    other = Module.get(ws, name=module.name)
    publish(version="2")
    # `other` does not know version 2: the service does.
    with pytest.raises(ErrorResponseException, match="has a version '2' already"):
        other.publish("d", "escloud", [], [], version="2")


@pytest.mark.slow
def test_a_module_step_runs_a_version_with_the_steps_data(ws, cluster, runconfig, module, publish, make, complete):
    store = ws.get_default_datastore()
    folder = f"{module.name}/given"
    Dataset.File.upload_directory(str(_text_folder(module.name)), (store, folder), show_progress=False)
    publish(version="1")
    built_in = publish(version="2", arguments=["SOURCE", "TARGET", "built-in"])
    reference = DataReference(store, "reference", folder)
    dataset = Dataset.File.from_files([(store, f"{folder}/**")]).as_named_input("files").as_mount()
    one, two = PipelineData("one", store), PipelineData("two", store)
    # The SDK finds it again only under the name that the module has for it.
    three = OutputFileDatasetConfig("target")
    common = {"runconfig": runconfig, "compute_target": cluster}
    word = PipelineParameter("word", "parameter")
    steps = [
        ModuleStep(
            module,
            "1",
            inputs_map={"source": reference},
            outputs_map={"target": one},
            arguments=[reference, one, word],
            **common,
        ),
        ModuleStep(module_version=built_in, inputs_map={"source": one}, outputs_map={"target": two}, **common),
        ModuleStep(
            module,
            "1",
            inputs_map={"source": dataset},
            outputs_map={"target": three},
            arguments=[dataset, three, "own"],
            **common,
        ),
        make(LIST, "read", [two, three.as_input("third")], inputs=[two]),
    ]
    run = complete(steps)
    assert said(run, "read", "FOUND") == [["words.txt"], ["words.txt"]]
    texts = sorted(map(_words, run.find_step_run(module.name)))
    assert texts == ["given own", "given parameter", "given parameter built-in"]


def _words(step) -> str:
    port = step.get_output_data("target")
    port.download("words", overwrite=True, show_progress=False)
    (file,) = (Path("words") / port.path_on_datastore).rglob("words.txt")
    return file.read_text()


def _text_folder(name):
    folder = Path(name)
    folder.mkdir()
    (folder / "a.txt").write_text("given")
    return folder

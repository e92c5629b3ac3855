"""From a node of a graph to a job: settings, parameters, data."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Invalid, NotFound, Unsupported
from azureml_wrapper.local.domain.jobs import Distribution, Launcher, Mode
from azureml_wrapper.local.domain.pipelines import Values
from azureml_wrapper.local.domain.runs import RunStatus
from tests.unit.local.pipelinebench import Bench, W, edge, node


@pytest.fixture
def bench():
    return Bench()


def test_the_type_of_a_step_that_cannot_run_is_named(bench):
    graph = {"ModuleNodes": [node("a", bench.module("spark", StepType="SynapseSparkStep"))]}
    with pytest.raises(Unsupported, match="SynapseSparkStep, which needs Spark pools of Azure Synapse: not supp"):
        bench.begin(graph)


def test_a_parameter_of_the_pipeline_reaches_command_line_and_environment(bench):
    interface = {
        "Parameters": [{"Name": "lr", "DefaultValue": "0", "SetEnvironmentVariable": True}],
        "Arguments": [{"ValueType": "Literal", "Value": "--lr"}, {"ValueType": "Parameter", "Value": "lr"}],
    }
    step = node("a", bench.module(StructuredInterface=interface))
    step["ModuleParameters"].append({"Name": "lr", "Value": "rate", "ValueType": "1"})
    run = bench.begin({"ModuleNodes": [step]}, values=Values(parameters={"rate": "0.5"}))
    job = bench.executor.jobs[bench.run_of(run, "a")]
    assert job.task.arguments == ("--lr", "$AML_PARAMETER_lr")
    assert job.environment_variables == {"AML_PARAMETER_lr": "0.5", "AZUREML_PARAMETER_lr": "0.5"}


def test_a_parameter_that_the_pipeline_does_not_have_is_invalid(bench):
    step = node("a", bench.module())
    step["ModuleParameters"].append({"Name": "lr", "Value": "rate", "ValueType": "1"})
    with pytest.raises(Invalid, match="'rate'"):
        bench.begin({"ModuleNodes": [step]})


def test_settings_of_the_step_win_over_those_of_its_run_configuration(bench):
    config = (
        '{"nodeCount": 1, "maxRunDurationSeconds": 60, "mpi": {"processCountPerNode": 3}, "communicator": "OpenMpi"}'
    )
    step = node("a", bench.module(), [("NodeCount", "2"), ("MaxRunDurationSeconds", "5")], Runconfig=config)
    run = bench.begin({"ModuleNodes": [step]})
    job = bench.executor.jobs[bench.run_of(run, "a")]
    assert (job.node_count, job.timeout) == (2, 5.0)
    assert job.distribution == Distribution(launcher=Launcher.MPI, nodes=2, per_node=3)


def data_graph(bench, output, **reader):
    """Step a makes `out`, step b reads it as `in`."""
    port = {"Name": "in", "DataStoreMode": "mount", **reader}
    writer = bench.module(StructuredInterface={"Outputs": [{"Name": "out"}]})
    return {
        "ModuleNodes": [
            node("a", writer, ModuleOutputSettings=[{"Name": "out", "DataStoreName": "store", **output}]),
            node("b", bench.module(StructuredInterface={"Inputs": [port]})),
        ],
        "Edges": [edge("a", "out", "b", "in")],
    }


def test_pipeline_data_is_a_path_of_its_makers_run(bench):
    run = bench.begin(data_graph(bench, {}))
    first = bench.run_of(run, "a")
    (output,) = bench.executor.jobs[first].outputs
    assert (output.is_dataset, output.path) == (False, "azureml/{run-id}/{output-name}")
    bench.end(run, "a")
    (given,) = bench.executor.jobs[bench.run_of(run, "b")].inputs
    assert (given.datastore, given.path, given.mode) == ("store", f"azureml/{first}/out", Mode.MOUNT)
    assert given.variable == "AZUREML_DATAREFERENCE_in"


def test_an_output_dataset_is_the_dataset_that_its_makers_run_names(bench):
    run = bench.begin(data_graph(bench, {"DatasetRegistration": {}, "DatasetOutputOptions": {}}))
    first = bench.run_of(run, "a")
    (output,) = bench.executor.jobs[first].outputs
    assert (output.is_dataset, output.path) == (True, "dataset/{run-id}/{output-name}/")
    saved = bench.datasets.save_folder(W, "store", "there")
    made = {"identifier": {"savedId": saved.saved_id}, "outputDetails": {"outputName": "out"}}
    bench.runs.change(W, first, output_datasets=[made])
    bench.end(run, "a")
    (given,) = bench.executor.jobs[bench.run_of(run, "b")].inputs
    assert (given.dataset_id, given.variable) == (saved.saved_id, "in")


def test_data_that_was_not_made_fails_the_reader_with_the_reason(bench):
    run = bench.begin(data_graph(bench, {"DatasetRegistration": {}}))
    bench.end(run, "a")
    reader = bench.runs.get(W, bench.run_of(run, "b"))
    assert reader.status is RunStatus.FAILED
    assert "'out'" in reader.error["error"]["message"]
    assert bench.status(run) is RunStatus.FAILED


def test_an_edge_from_an_output_that_its_step_does_not_have_is_invalid(bench):
    graph = data_graph(bench, {})
    graph["Edges"] = [edge("a", "other", "b", "in")]
    with pytest.raises(Invalid, match="'other'"):
        bench.begin(graph)


def test_a_mode_that_is_not_known_is_refused(bench):
    with pytest.raises(Unsupported, match="hdfs"):
        bench.begin(data_graph(bench, {"DataStoreMode": "hdfs"}))


def source_graph(bench, source):
    port = {"Name": "in", "DataStoreMode": "download"}
    reader = bench.module(StructuredInterface={"Inputs": [port]})
    return {
        "ModuleNodes": [node("b", reader)],
        "DatasetNodes": [{"Id": "d", **source}],
        "Edges": [edge("d", "data", "b", "in")],
    }


def input_of(bench, source, **values):
    run = bench.begin(source_graph(bench, source), values=Values(**values))
    (given,) = bench.executor.jobs[bench.run_of(run, "b")].inputs
    return given


def test_a_data_source_is_a_path(bench):
    source = bench.pipelines.add_data_source(W, {"DataStoreName": "store", "PathOnDataStore": "here"})
    given = input_of(bench, {"DatasetId": source.key})
    assert (given.datastore, given.path, given.mode) == ("store", "here", Mode.DOWNLOAD)


def test_a_path_parameter_is_the_path_that_it_stands_for(bench):
    path = {"DataStoreName": "store", "RelativePath": "there"}
    given = input_of(bench, {"DataPathParameterName": "p"}, data_paths={"p": path})
    assert (given.datastore, given.path) == ("store", "there")
    with pytest.raises(Invalid, match="'p'"):
        input_of(bench, {"DataPathParameterName": "p"})


def test_datasets_are_found_by_each_way_of_naming_them(bench):
    first, second = (bench.datasets.save_folder(W, "store", path) for path in ("one", "two"))
    registered = bench.datasets.register(W, "name", first)
    bench.datasets.register(W, "name", second)

    def used(value):
        return input_of(bench, {"DataSetDefinition": {"Value": value}}).dataset_id

    assert used({"SavedDataSetReference": {"Id": first.saved_id}}) == first.saved_id
    assert used({"DataSetReference": {"Id": registered.dataset_id, "Version": "1"}}) == first.saved_id
    assert used({"DataSetReference": {"Id": registered.dataset_id, "Name": "name"}}) == second.saved_id
    assert used({"DataSetReference": {"Name": "name", "Version": "latest"}}) == second.saved_id
    reference = {"SavedDataSetReference": {"Id": second.saved_id}}
    by_parameter = {"DataSetDefinition": {"ParameterName": "p"}}
    assert input_of(bench, by_parameter, datasets={"p": reference}).dataset_id == second.saved_id
    with pytest.raises(NotFound):
        used({"SavedDataSetReference": {"Id": "nobody"}})

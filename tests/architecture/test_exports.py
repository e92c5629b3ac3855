"""The public names: these, and no others."""

from __future__ import annotations

import inspect

import pytest

import azureml_wrapper
from azureml_wrapper import local

PUBLIC = [
    "AlreadyRegistered",
    "BadArgument",
    "BadData",
    "BadName",
    "BadParameter",
    "BadPipeline",
    "BadRecord",
    "BadSchedule",
    "BadValue",
    "BasePipeline",
    "ConfigError",
    "ConfigNotFound",
    "ConfigSyntax",
    "ConnectionFailed",
    "Failure",
    "FolderBusy",
    "FolderClosed",
    "FolderTaken",
    "JobFolder",
    "JobState",
    "JobWrapper",
    "LoginFailed",
    "MissingInput",
    "MissingKey",
    "NoSuchJob",
    "NotRegistered",
    "PipelineStep",
    "PipelineWrapper",
    "RegisteredPipeline",
    "RunCanceled",
    "RunFailed",
    "RunTimeout",
    "RunWrapper",
    "Schedule",
    "ScriptNotFound",
    "ScriptWrapper",
    "SecretInFolder",
    "SeveralProblems",
    "SnapshotTooLarge",
    "TrainPipeline",
    "TransferFailed",
    "TransferReport",
    "UnregisteredCompute",
    "UnregisteredDataset",
    "UnregisteredDatastore",
    "UnregisteredEnvironment",
    "UnregisteredPipeline",
    "UnregisteredRun",
    "UnregisteredSchedule",
    "WorkspaceWrapper",
    "WrapperError",
    "WrongType",
]

SCOPE = ["ws_name", "resource_group", "subscription_id"]
STEP = ["step_name", "script_name", "step_config", "input_datasets", "script_directory"]
# Users call these by position: what follows may grow, but by keyword only.
POSITIONS = {
    ("WorkspaceWrapper", "__init__"): SCOPE,
    ("WorkspaceWrapper", "from_config"): ["config"],
    ("WorkspaceWrapper", "register_env"): ["name", "dependencies"],
    ("WorkspaceWrapper", "register_blob_datastore"): ["name", "container_name", "storage_name", "storage_key"],
    ("WorkspaceWrapper", "unregister_blob_datastore"): ["name"],
    ("WorkspaceWrapper", "register_csv"): ["datastore_name", "dataset_name"],
    ("WorkspaceWrapper", "register_compute"): [
        "name",
        "compute_size",
        "compute_min_nodes",
        "compute_max_nodes",
    ],
    ("WorkspaceWrapper", "sync_folder"): ["local", "datastore_name"],
    ("PipelineStep", "__init__"): [*SCOPE, *STEP],
    ("PipelineStep", "from_config"): ["config"],
    ("PipelineWrapper", "__init__"): [*SCOPE, "env_name", "compute_name", "steps"],
    ("PipelineWrapper", "from_config"): ["config"],
    ("PipelineWrapper", "run"): ["experiment_name"],
    ("PipelineWrapper", "register"): ["name", "description", "schedule", "interval", "datastore_name"],
    ("ScriptWrapper", "get_csv_from_input_folder"): ["name"],
    ("ScriptWrapper", "save_csv_in_output_folder"): ["df", "name", "index", "header"],
    ("ScriptWrapper", "get_csv_from_config"): ["key_or_name"],
    ("JobWrapper", "__init__"): [*SCOPE, "script_name"],
    ("JobWrapper", "from_config"): ["config"],
    ("JobWrapper", "submit"): ["experiment_name"],
    ("JobFolder", "__init__"): ["path"],
    ("JobFolder", "resubmit"): ["parameters"],
    ("RunWrapper", "wait"): ["timeout", "show_output"],
    ("RunWrapper", "logs"): ["step"],
    ("RunWrapper", "download"): ["folder"],
    ("RunWrapper", "resubmit"): ["from_failed", "parameters"],
}


def test_the_package_shows_what_it_promises():
    assert azureml_wrapper.__all__ == PUBLIC
    assert [name for name in dir(azureml_wrapper) if not name.startswith("__")] == PUBLIC


def test_each_name_is_the_class_of_that_name():
    for name in PUBLIC:
        assert getattr(azureml_wrapper, name).__name__ == name


@pytest.mark.parametrize(("owner", "name"), POSITIONS)
def test_what_is_given_by_position_stays_where_it_is(owner, name):
    parameters = inspect.signature(getattr(getattr(azureml_wrapper, owner), name)).parameters.values()
    by_position = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert [parameter for parameter in by_position if parameter != "self"] == POSITIONS[owner, name]


@pytest.mark.parametrize(
    ("owner", "name", "given"),
    [
        ("WorkspaceWrapper", "__init__", SCOPE),
        ("WorkspaceWrapper", "from_config", []),
        ("PipelineStep", "__init__", [*SCOPE, *STEP]),
        ("PipelineStep", "from_config", []),
        ("PipelineWrapper", "__init__", [*SCOPE, "env", "cpu", "steps"]),
        ("PipelineWrapper", "from_config", []),
        ("PipelineWrapper", "to_v2", ["folder"]),
        ("JobWrapper", "from_config", []),
        ("TrainPipeline", "__init__", ["pipeline_config.yml"]),
    ],
)
def test_an_unknown_keyword_is_a_type_error_that_names_what_was_called(owner, name, given):
    called = getattr(azureml_wrapper, owner)
    with pytest.raises(TypeError, match=rf"{owner if owner != 'TrainPipeline' else 'BasePipeline'}\.{name}\(\)"):
        (called if name == "__init__" else getattr(called, name))(*given, wram=True)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(azureml_wrapper, "Workspace")


def test_the_local_azure_ml_has_six_functions():
    assert local.__all__ == ["connection_string", "ml_client", "service", "start", "stop", "workspace"]
    assert all(callable(getattr(local, name)) for name in local.__all__)

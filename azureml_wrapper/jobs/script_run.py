"""From a job's config to a run of the SDK: the files it needs, its arguments and mounts, and the request."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.parameters import to_text
from azureml_wrapper.connection.target import is_local_workspace
from azureml_wrapper.jobs.record import filled_folder
from azureml_wrapper.snapshots.script_folder import check_script, check_sent, check_upload, send_ahead

if TYPE_CHECKING:
    from azureml.core import Run, ScriptRunConfig, Workspace

INPUT, OUTPUT = "job_input", "job_output"


def script_folder(config: JobConfig) -> Path:
    """Return the folder that is uploaded with the script; the current one by default."""
    return Path(config.script_directory or ".").expanduser().resolve()


def job_folder(config: JobConfig) -> Path | None:
    """Return the folder that remembers the job, if the config names one."""
    return Path(config.output_dir).expanduser() if config.output_dir else None


def output_path(config: JobConfig) -> str | None:
    """Return the folder of the datastore that a job fills: `output_path`, or by default the job folder's name."""
    return filled_folder(config.output_path, config.output_dir)


def arguments(config: JobConfig) -> list[str]:
    """Return the script's arguments: the four that every job has, those of the config, and last the parameters."""
    given: dict[str, Any] = {
        "--config_file": config.config_file,
        "--input_dir": f"$AZUREML_DATAREFERENCE_{INPUT}",
        "--output_dir": f"$AZUREML_DATAREFERENCE_{OUTPUT}" if output_path(config) else None,
        "--num_gpus": config.num_gpus,
        **(config.arguments or {}),
    }
    pairs = {name: value for name, value in given.items() if value is not None} | (config.parameters or {})
    return [part for name, value in pairs.items() for part in (name, to_text(value))]


def check_files(config: JobConfig) -> None:
    """Raise `ScriptNotFound`, `SnapshotTooLarge` or `SecretInFolder` if the script folder may not be uploaded."""
    folder = script_folder(config)
    check_script(folder, config.script_name)
    for name in filter(None, (config.script_name, config.config_file)):
        check_sent(folder, name)
    check_upload(folder)


def build(ws: Workspace, config: JobConfig, directory: Path, environment: Any = None) -> ScriptRunConfig:
    """Build the SDK's ScriptRunConfig.

    Args:
        directory: The script folder.
        environment: The environment to use instead of the newest version of the one that the config names.

    Raises:
        NotRegistered: The workspace lacks something that the config names; the message lists all of it.
    """
    from azureml.core import ScriptRunConfig
    from azureml.core.runconfig import DockerConfiguration

    lookup = Lookup(ws)
    lookup.check(datasets=[], environments=[] if environment else [config.env_name], computes=[config.compute_name])
    limit = {} if config.max_run_seconds is None else {"max_run_duration_seconds": config.max_run_seconds}
    made = ScriptRunConfig(
        source_directory=str(directory),
        script=config.script_name,
        arguments=arguments(config),
        compute_target=lookup.computes([config.compute_name])[config.compute_name],
        environment=environment or lookup.environments([config.env_name])[config.env_name],
        docker_runtime_config=DockerConfiguration(use_docker=True),
        **limit,
    )
    made.run_config.data_references = _references(ws, config)
    made.run_config.environment_variables = dict(config.environment_variables or {})
    return made


def send(ws: Workspace, experiment: str, made: ScriptRunConfig, *, run_id: str, tags: Mapping[str, str]) -> Run:
    """Submit with the script folder as it is now."""
    from azureml.core import Experiment

    if is_local_workspace(ws):
        send_ahead(ws, made.source_directory)
    return Experiment(ws, experiment).submit(made, tags=dict(tags) or None, run_id=run_id)


def send_again(
    ws: Workspace, experiment: str, made: ScriptRunConfig, *, run_id: str, tags: Mapping[str, str], snapshot_id: str
) -> Run:
    """Submit with the scripts of an earlier run, of which the workspace still has the snapshot.

    The SDK has no public function for this; the request is the one that it makes after its upload
    (azureml/_execution/_commands.py, _start_internal).
    """
    import azureml.core  # noqa: F401 - first, because the SDK's modules import each other in a cycle
    import requests
    from azureml._execution import _commands
    from azureml._project.project import Project
    from azureml._restclient.clientbase import ClientBase
    from azureml.core import Experiment
    from azureml.core.script_run_config import get_run_config_from_script_run

    configuration = get_run_config_from_script_run(made)
    context, holder = ws.service_context, Experiment(ws, experiment)
    scope = f"{context._get_workspace_scope()}/experiments/{experiment}"
    body = {
        "Configuration": _commands._serialize_run_config_to_dict(configuration),
        "TelemetryValues": made._telemetry_values,
        "SnapshotId": snapshot_id,
    }
    answer = ClientBase._execute_func(
        requests.post,
        f"{context._get_execution_url()}/execution/v1.0{scope}/snapshotrun?runId={run_id}",
        json=body,
        headers={**_commands._get_common_headers(), **ws._auth_object.get_authentication_header()},
    )
    _commands._raise_request_error(answer, "starting run")
    project = Project(experiment=holder, auth=ws._auth_object, _disable_service_check=True)
    run: Run = _commands._get_run_details(project, configuration, answer.json()["runId"], snapshot_id=snapshot_id)
    if tags:
        run.set_tags(dict(tags))
    return run


def new_run_id(experiment: str) -> str:
    """Return a run id like those of the SDK. It is known before the request, so that a job folder can record it."""
    return f"{experiment}_{int(time.time())}_{secrets.token_hex(4)}"


def datastore_of(ws: Workspace, config: JobConfig) -> Any:
    """Return the job's datastore; by default that of the workspace."""
    from azureml_wrapper.assets.datastores import get_datastore

    return get_datastore(ws, config.datastore_name) if config.datastore_name else ws.get_default_datastore()


def _references(ws: Workspace, config: JobConfig) -> dict[str, Any]:
    from azureml.data.data_reference import DataReference

    store, target = datastore_of(ws, config), output_path(config)
    folders = {INPUT: config.input_dir or None, **({OUTPUT: target} if target else {})}
    references = {name: DataReference(store, name, folder, mode="mount") for name, folder in folders.items()}
    return {name: reference.to_config() for name, reference in references.items()}

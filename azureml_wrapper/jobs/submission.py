"""From a job's config to a run of the SDK's: the configuration, its arguments and mounts, and the submit."""

from __future__ import annotations

import contextlib
import io
import secrets
import time
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.config.job_models import JobConfig
from azureml_wrapper.config.parameters import to_text

if TYPE_CHECKING:
    from azureml.core import Run, ScriptRunConfig, Workspace

INPUT, OUTPUT = "job_input", "job_output"


def output_path(config: JobConfig) -> str | None:
    """The folder of the datastore that a job fills: that of its config, else one named as its job folder."""
    if config.output_path is not None or config.output_dir is None:
        return config.output_path
    folder = Path(config.output_dir).expanduser().absolute()
    if folder.is_relative_to(Path.cwd()) and folder != Path.cwd():
        return folder.relative_to(Path.cwd()).as_posix()
    return PurePosixPath("output", folder.name or "job").as_posix()


def arguments(config: JobConfig) -> list[str]:
    """What the script gets: the four of every job, those of the config, and at last the overrides."""
    given: dict[str, Any] = {
        "--config_file": config.config_file,
        "--input_dir": f"$AZUREML_DATAREFERENCE_{INPUT}",
        "--output_dir": f"$AZUREML_DATAREFERENCE_{OUTPUT}" if output_path(config) else None,
        "--num_gpus": config.num_gpus,
        **(config.arguments or {}),
    }
    pairs = {name: value for name, value in given.items() if value is not None} | (config.overrides or {})
    return [part for name, value in pairs.items() for part in (name, to_text(value))]


def build(ws: Workspace, config: JobConfig, directory: Path, environment: Any = None) -> ScriptRunConfig:
    """The SDK's ScriptRunConfig; `NotRegistered` names all that the workspace does not have.

    `environment` is the one to run in where it is not the newest version of that name.
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

    # The SDK prints what the caller tells better.
    with contextlib.redirect_stdout(io.StringIO()):
        return Experiment(ws, experiment).submit(made, tags=dict(tags) or None, run_id=run_id)


def send_again(
    ws: Workspace, experiment: str, made: ScriptRunConfig, *, run_id: str, tags: Mapping[str, str], snapshot_id: str
) -> Run:
    """Submit with the scripts of an earlier run, which the workspace still has as a snapshot.

    The SDK has no public function for it; the request is the one that it makes after its upload
    (azureml/_execution/_commands.py, _start_internal).
    """
    import azureml.core  # noqa: F401 - first, for the SDK's modules import each other in a circle
    import requests
    from azureml._execution import _commands
    from azureml._project.project import Project
    from azureml._restclient.clientbase import ClientBase
    from azureml.core import Experiment
    from azureml.core.script_run_config import get_run_config_from_script_run

    configuration = get_run_config_from_script_run(made)
    context, holder = ws.service_context, Experiment(ws, experiment)
    place = f"{context._get_workspace_scope()}/experiments/{experiment}"
    body = {
        "Configuration": _commands._serialize_run_config_to_dict(configuration),
        "TelemetryValues": made._telemetry_values,
        "SnapshotId": snapshot_id,
    }
    answer = ClientBase._execute_func(
        requests.post,
        f"{context._get_execution_url()}/execution/v1.0{place}/snapshotrun?runId={run_id}",
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
    """An id as the SDK makes them, known before anything is sent: a job folder can remember it in time."""
    return f"{experiment}_{int(time.time())}_{secrets.token_hex(4)}"


def datastore_of(ws: Workspace, config: JobConfig) -> Any:
    """The job's datastore; the workspace's default one where the config names none."""
    from azureml_wrapper.assets.datastores import get_datastore

    return get_datastore(ws, config.datastore_name) if config.datastore_name else ws.get_default_datastore()


def _references(ws: Workspace, config: JobConfig) -> dict[str, Any]:
    from azureml.data.data_reference import DataReference

    store, target = datastore_of(ws, config), output_path(config)
    places = {INPUT: config.input_dir or None, **({OUTPUT: target} if target else {})}
    references = {name: DataReference(store, name, place, mode="mount") for name, place in places.items()}
    return {name: reference.to_config() for name, reference in references.items()}

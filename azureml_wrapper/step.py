"""PipelineStep: one script of a pipeline, what it gets, and where it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.lookup import Lookup
from azureml_wrapper.assets.names import input_name
from azureml_wrapper.config.parameters import Parameter, render_argument, render_json, used
from azureml_wrapper.connection.target import DEFAULT_LOCATION
from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.workspace import PathLike, WorkspaceWrapper

if TYPE_CHECKING:
    from azureml.core import Workspace

    from azureml_wrapper.config.loader import Config
    from azureml_wrapper.config.models import PathInput, StepFields


class PipelineStep:
    """A step: making one asks Azure nothing, and checks what it is given as a config is checked.

    `step_config` reaches the script as `--config`, in JSON. `input_datasets` maps arguments to registered datasets;
    in the script, `run.input_datasets[<name of the dataset>]` is the dataset (a file dataset: the path of a folder).
    `input_paths` maps arguments to files or folders of a datastore: `{"datastore": …, "path": …}`, which the script
    gets as a local path; with a `parameter`, each run may be given another one by that name.
    `env_name`, `compute_name` and `input_steps` are for steps that differ from their pipeline; see PipelineWrapper.
    `arguments` are further arguments of the script. In it and in `step_config`, `${{parameters.lr}}` is a parameter
    of the pipeline. A run that is waited for tries a failed step `retries` times again.
    With `warm=False`, the local Azure ML runs the script in a new process instead of one that was forked with the SDK
    imported; in Azure it has no effect. None is what the pipeline says.
    `auth`, `target`, `workspace` and `location` are those of WorkspaceWrapper.
    """

    def __init__(
        self,
        ws_name: str,
        resource_group: str,
        subscription_id: str,
        step_name: str,
        script_name: str,
        step_config: Mapping[str, Any] | None = None,
        input_datasets: Mapping[str, str] | None = None,
        script_directory: PathLike | None = None,
        *,
        env_name: str | None = None,
        compute_name: str | None = None,
        allow_reuse: bool = True,
        input_steps: Mapping[str, str] | None = None,
        arguments: Mapping[str, Parameter] | None = None,
        retries: int = 0,
        input_paths: Mapping[str, Mapping[str, str]] | None = None,
        warm: bool | None = None,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> None:
        from azureml_wrapper.config.loader import check
        from azureml_wrapper.config.models import StepConfig

        given = {
            "ws_name": ws_name,
            "resource_group": resource_group,
            "subscription_id": subscription_id,
            "step_name": step_name,
            "script_name": script_name,
            "step_config": step_config,
            "input_datasets": input_datasets,
            "script_directory": script_directory,
            "env_name": env_name,
            "compute_name": compute_name,
            "allow_reuse": allow_reuse,
            "input_steps": input_steps,
            "arguments": arguments,
            "retries": retries,
            "input_paths": input_paths,
            "warm": warm,
        }
        self._fields: StepFields = check(StepConfig, given)
        self.workspace = WorkspaceWrapper(
            ws_name, resource_group, subscription_id, auth=auth, target=target, workspace=workspace, location=location
        )

    @classmethod
    def from_config(
        cls,
        config: Config = None,
        *,
        auth: Any = None,
        target: str | None = None,
        workspace: Workspace | None = None,
        location: str = DEFAULT_LOCATION,
    ) -> PipelineStep:
        """The step of a dict or of a .json or .yml file; `ConfigError` tells all that is wrong with it.

        `script_directory` is relative to the file's folder. The keywords are those of WorkspaceWrapper.
        """
        from azureml_wrapper.config.loader import load
        from azureml_wrapper.config.models import StepConfig

        found, document = load(StepConfig, config)
        names = (found.ws_name, found.resource_group, found.subscription_id)
        opened = WorkspaceWrapper(*names, auth=auth, target=target, workspace=workspace, location=location)
        return cls._of(found, opened, document.folder if document.path else None)

    @classmethod
    def _of(cls, fields: StepFields, workspace: WorkspaceWrapper, folder: Path | None) -> PipelineStep:
        """A step whose fields were checked already."""
        step = cls.__new__(cls)
        if folder is not None:
            fields = fields.model_copy(update={"script_directory": folder / (fields.script_directory or ".")})
        step._fields, step.workspace = fields, workspace
        return step

    @property
    def name(self) -> str:
        return self._fields.step_name

    @property
    def script_name(self) -> str:
        """The script's file, relative to `script_directory`."""
        name = self._fields.script_name
        return name if name.endswith(".py") else f"{name}.py"

    @property
    def script_directory(self) -> Path:
        """The folder that is sent with the script: the current one unless given."""
        return Path(self._fields.script_directory or ".").expanduser().resolve()

    @property
    def config(self) -> dict[str, Any] | None:
        return self._fields.step_config

    @property
    def input_datasets(self) -> dict[str, str]:
        """Argument -> name of a registered dataset."""
        return dict(self._fields.input_datasets or {})

    @property
    def input_paths(self) -> dict[str, PathInput]:
        """Argument -> file or folder of a datastore."""
        return dict(self._fields.input_paths or {})

    @property
    def input_steps(self) -> dict[str, str] | None:
        """Argument -> the step whose folder it holds; None stands for the step before."""
        given = self._fields.input_steps
        return None if given is None else dict(given)

    @property
    def env_name(self) -> str | None:
        return self._fields.env_name

    @property
    def compute_name(self) -> str | None:
        return self._fields.compute_name

    @property
    def allow_reuse(self) -> bool:
        return self._fields.allow_reuse

    @property
    def retries(self) -> int:
        return self._fields.retries

    @property
    def warm(self) -> bool | None:
        """Whether the local Azure ML may fork the script; None stands for what the pipeline says."""
        return self._fields.warm

    @property
    def _fields_with_parameters(self) -> dict[str, Any]:
        return {"step_config": self.config, "arguments": self._fields.arguments}

    @property
    def parameters_in_config(self) -> set[str]:
        """The parameters of the pipeline that `config` uses."""
        return used(self.config)

    @property
    def parameters(self) -> set[str]:
        """The parameters of the pipeline that the step uses."""
        return used(self.config) | used(self._fields.arguments)

    @property
    def arguments(self) -> list[Any]:
        """`["--config", <JSON>, "--test-data", <named input>, …]`, with the newest versions of the datasets.

        `UnregisteredDataset`, a NameError, names the datasets that the workspace does not have.
        """
        return self._build_arguments(Lookup(self.workspace.ws), {})

    def _build_arguments(self, lookup: Lookup, defaults: Mapping[str, Parameter]) -> list[Any]:
        """The arguments, with datasets from a lookup that other steps may share, and places for the parameters."""
        arguments: list[Any] = [] if self.config is None else ["--config", render_json(self.config, defaults)]
        for argument, value in (self._fields.arguments or {}).items():
            arguments += [argument, render_argument(value)]
        datasets = self.input_datasets
        found = lookup.datasets(datasets.values())
        named = {name: _named_input(found[name], input_) for name, input_ in self._input_names().items()}
        for argument, dataset in datasets.items():
            arguments += [argument, named[dataset]]
        return arguments

    def _input_names(self) -> dict[str, str]:
        """Dataset -> its name in `run.input_datasets`."""
        names: dict[str, str] = {}
        for dataset in self.input_datasets.values():
            name = input_name(dataset)
            other = next((other for other, taken in names.items() if taken == name and other != dataset), None)
            if other:
                raise BadPipeline(
                    f"Step {self.name!r}: the datasets {other!r} and {dataset!r} would both be {name!r} in "
                    "run.input_datasets. Register one of them under another name."
                )
            names[dataset] = name
        return names

    def __repr__(self) -> str:
        return f"PipelineStep({self.name!r}, {self.script_name!r})"


def _named_input(dataset: Any, name: str) -> Any:
    from azureml.data import FileDataset

    named = dataset.as_named_input(name)
    # Only a mounted file dataset gives a script something that it can open.
    return named.as_mount() if isinstance(dataset, FileDataset) else named

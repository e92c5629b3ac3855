"""The environment variables of a job: Azure's own, and those that it inherits from the user's shell.

Names and values as in a real job (2022-07).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import certifi

from azureml_wrapper.local.domain.addresses import PUBLIC_CLOUD, without_proxy
from azureml_wrapper.local.domain.clock import azure_time
from azureml_wrapper.local.domain.runs import Run
from azureml_wrapper.local.domain.workspaces import Workspace, is_secret_name
from azureml_wrapper.local.executor.context import ExecutorContext
from azureml_wrapper.local.home import Home
from azureml_wrapper.local.tokens import RUN_LIFETIME
from azureml_wrapper.network import InvalidSetting, certificates, trust_variables, trusted

# Variables of the service itself, of another job, or of the interpreter in which the service runs.
_REPLACED = re.compile(
    r"(AZUREML_|AZURE_|ARM_|AML_|AZ_BATCH|MSI_|IDENTITY_|OBO_|MLFLOW_|OMPI_|PYTHON|PYTEST|CONDA_|VIRTUAL_ENV|UV_|PIP_|"
    r"DATASET_|RSLEX_|HBI_|COV_|COVERAGE).*",
)
# All others with these prefixes are settings of the SDK.
_OF_ONE_JOB = re.compile(r"MLFLOW_|AZUREML_(?!CURRENT_CLOUD$|(DEFAULT|DPREP|LOG|OTEL|RUN_POLLING))")


# They describe the machine, its network, its accelerators, and where libraries cache; none is a user's own. A name
# that ends in "*" stands for all that begin so.
INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "LC_*", "TZ", "HOSTNAME"),
    *("TMPDIR", "TEMP", "TMP", "XDG_*"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"),
    *(
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "GIT_SSL_CAINFO",
        "NODE_EXTRA_CA_CERTS",
    ),
    *(
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "DYLD_*",
        "CUDA*",
        "NVIDIA_*",
        "NCCL_*",
        "CUDNN_*",
        "ROCM_*",
        "HIP_*",
        "ROCR_*",
    ),
    *("OMP_*", "MKL_*", "KMP_*", "OPENBLAS_*", "BLIS_*", "NUMEXPR_*", "VECLIB_*", "GOTO_*", "MALLOC_*", "TBB_*"),
    *("JAVA_HOME", "SPARK_HOME", "HADOOP_HOME", "R_HOME", "DOTNET_*", "MPI_*", "OPAL_*", "I_MPI_*", "FI_*", "UCX_*"),
    *("HF_HOME", "HF_DATASETS_CACHE", "TRANSFORMERS_CACHE", "TORCH_HOME", "KERAS_HOME", "TFHUB_CACHE_DIR"),
    *("SCIKIT_LEARN_DATA", "NLTK_DATA", "MPLBACKEND", "MPLCONFIGDIR", "NUMBA_*"),
)
# Further ones that a user passes on: names in the shell in which the service starts, separated by commas.
PASS_VARIABLE = "AZUREML_WRAPPER_PASS"  # noqa: S105 - a name
_NAMES_SHOWN = 5


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that a job inherits from the environment in which the service was started.

    Those in `INHERITED`, and those that AZUREML_WRAPPER_PASS names. HOME stays the user's, so that libraries find the
    models and data that they have cached; what the SDK keeps there (`~/.azureml`) is named by workspace. In Azure a
    job gets none of the shell's variables, and any other may be a secret: use `environment_variables` for them.
    """
    passed = environment.get(PASS_VARIABLE, "")
    return {name: value for name, value in environment.items() if _is_passed_on(name, passed)}


def withheld(environment: Mapping[str, str]) -> str:
    """What a job's log says of the variables that it does not inherit: those that look like secrets come first."""
    passed = environment.get(PASS_VARIABLE, "")
    names = sorted(name for name in environment if not _is_ours(name) and not _is_passed_on(name, passed))
    names.sort(key=lambda name: not is_secret_name(name))
    if not names:
        return ""
    more = f" and {len(names) - _NAMES_SHOWN} others" if len(names) > _NAMES_SHOWN else ""
    return (
        f"Not passed on from the shell: {', '.join(names[:_NAMES_SHOWN])}{more}. "
        f"Pass what the job needs as environment_variables, or name it in {PASS_VARIABLE}."
    )


@lru_cache(maxsize=4096)
def _is_passed_on(name: str, passed: str) -> bool:
    """Whether a job inherits a variable; `passed` is the value of `PASS_VARIABLE`."""
    named = [each.strip() for each in passed.split(",") if each.strip()]
    return any(fnmatchcase(name, each) for each in named) or (
        not _is_ours(name) and any(fnmatchcase(name.upper(), each) for each in INHERITED)
    )


@lru_cache(maxsize=4096)
def _is_ours(name: str) -> bool:
    """Whether the service sets or removes a variable in every job, as Azure does."""
    return bool(_REPLACED.fullmatch(name.upper()))


def job_variables(context: ExecutorContext, workspace: Workspace, run: Run) -> dict[str, str]:
    """The variables from which the SDK finds its run (azureml/core/run.py, get_context), and the run's token."""
    token = context.tokens.run(workspace.workspace_id, run.run_id)
    base = context.addresses.base
    return {
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
        "AZUREML_ARM_RESOURCEGROUP": workspace.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment,
        "AZUREML_EXPERIMENT_ID": run.experiment_id,
        "AZUREML_EXPERIMENT_SCOPE": f"{workspace.scope}/experiments/{run.experiment}",
        "AZUREML_WORKSPACE_ID": workspace.workspace_id,
        "AZUREML_WORKSPACE_SCOPE": workspace.scope,
        "AZUREML_RUN_ID": run.run_id,
        "AZUREML_ROOT_RUN_ID": run.root_id or run.run_id,
        "AZUREML_RUN_TOKEN": token,
        "AZUREML_RUN_TOKEN_EXPIRY": azure_time(context.clock.now() + timedelta(seconds=RUN_LIFETIME)) or "",
        "AZUREML_SERVICE_ENDPOINT": base,
        "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": base,
        "AZUREML_DISCOVERY_SERVICE_ENDPOINT": context.addresses.discovery,
        "AZUREML_CR_AZUREML_CONTEXT": _context(context, workspace, run, token),
        # With these azureml-mlflow logs to the job's own run (azureml/mlflow/_internal/service_context_loader.py).
        "MLFLOW_TRACKING_URI": context.addresses.mlflow(workspace),
        # The address that `Workspace.get_mlflow_tracking_uri` returns: azureml-mlflow sends no token over plain HTTP.
        "AZUREML_DEV_URL_MLFLOW": context.addresses.arm.rstrip("/"),
        "MLFLOW_TRACKING_TOKEN": token,
        "MLFLOW_EXPERIMENT_ID": run.experiment_id,
        "MLFLOW_EXPERIMENT_NAME": run.experiment,
        "MLFLOW_RUN_ID": run.run_id,
        **service_variables(context),
    }


def service_variables(context: ExecutorContext) -> dict[str, str]:
    """The variables that are the same in every job of the service."""
    return {
        "AZUREML_CURRENT_CLOUD": PUBLIC_CLOUD,
        # The SDK caches the cloud's addresses in this folder; with a separate one, Azure's and ours do not mix.
        "AZURE_CONFIG_DIR": str(context.home.cloud_settings),
        **trust_variables(trusted_folder(context.home, os.environ), os.environ),
        **without_proxy(os.environ),
        # Switches the SDK's telemetry off: nothing leaves the machine.
        "HBI_WORKSPACE_JOB": "true",
        "PYTHONUNBUFFERED": "1",
        "EXAMPLE_ENV_VAR": "EXAMPLE_VALUE",
    }


def preload_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """A job's variables without those of that one job: for a process from which other jobs are forked."""
    return {name: value for name, value in variables.items() if not _OF_ONE_JOB.match(name)}


def interpreter_variables(
    interpreter: Path, path: str, shims: Path | None = None, own: Path | None = None
) -> dict[str, str]:
    """The variables that activating an interpreter's environment sets; `shims` comes first in PATH.

    `own` is the interpreter of a job's environment over that one (overlay.py).
    """
    job = own.parent.parent if own and own != interpreter else None
    own_folders = (str(job / "bin"), str(job / "programs")) if job else ()
    folders: Iterable[str] = filter(None, (str(shims or ""), *own_folders, str(interpreter.parent), path))
    environment = interpreter.parent.parent
    activated = {"CONDA_PREFIX": str(environment)} if (environment / "conda-meta").is_dir() else {}
    if job or (not activated and (environment / "pyvenv.cfg").exists()):
        activated["VIRTUAL_ENV"] = str(job or environment)
    return {"PATH": os.pathsep.join(folders), **activated}


def trusted_folder(home: Home, environment: Mapping[str, str]) -> Path:
    """A folder of certificates: those that clients on this machine trust, and the local service's authority.

    It is named by its content, so it does not change while a job uses it. Without the authority a job does not fail,
    but retries for minutes.
    """
    try:
        content = certificates(trusted(environment))
    except InvalidSetting:
        # Clients report it. The file may belong to a home that was deleted while the service runs.
        content = Path(certifi.where()).read_bytes()
    authority = home.authority.read_bytes()
    if authority not in content:
        content += b"\n" + authority
    return home.write_trust(content)


def _context(context: ExecutorContext, workspace: Workspace, run: Run, token: str) -> str:
    content: dict[str, Any] = {
        "subscription_id": workspace.subscription,
        "resource_group": workspace.resource_group,
        "workspace_name": workspace.name,
        "workspace_id": workspace.workspace_id,
        "service_endpoint": context.addresses.base,
        "discovery_endpoint": context.addresses.discovery,
        "experiment_name": run.experiment,
        "experiment_id": run.experiment_id,
        "root_run_id": run.root_id or run.run_id,
        "run_id": run.run_id,
        "run_token": token,
        "run_history_service_endpoint": context.addresses.base,
        "data_container_id": run.container_id,
        "run_uuid": run.uuid,
    }
    return json.dumps(content)

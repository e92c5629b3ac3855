"""Every error that this library raises.

    WrapperError
    ├── ConfigError                           an invalid config: all its problems in one message
    │   ├── ConfigNotFound      FileNotFoundError  no such file, or no .azureml/config.json here or above
    │   ├── ConfigSyntax        ValueError         the file is neither JSON nor YAML
    │   ├── MissingKey          KeyError           a required key is missing
    │   ├── WrongType           TypeError          a value of the wrong type, or a config that is not a mapping
    │   ├── BadValue            ValueError         an invalid value, or an unknown key
    │   └── SeveralProblems                        a MissingKey, a WrongType and a BadValue at once
    ├── BadName                 ValueError         a name that Azure ML does not accept
    ├── BadArgument             TypeError          an argument of the wrong type
    ├── BadPipeline             ValueError         steps that do not make a pipeline
    ├── BadParameter            ValueError         an unknown pipeline parameter, or one of another type
    ├── BadSchedule             ValueError         an invalid schedule
    ├── NotRegistered           NameError          the workspace does not have it
    │   ├── UnregisteredDataset
    │   ├── UnregisteredDatastore
    │   ├── UnregisteredEnvironment
    │   ├── UnregisteredCompute
    │   ├── UnregisteredPipeline
    │   ├── UnregisteredSchedule
    │   └── UnregisteredRun
    ├── AlreadyRegistered       ValueError         it exists with other settings, and has no versions
    ├── BadData                 ValueError         an empty CSV, or one with another delimiter
    ├── ScriptNotFound          FileNotFoundError  a step's script is not in its folder
    ├── SnapshotTooLarge        ValueError         a script folder over Azure ML's limits
    ├── SecretInFolder          ValueError         a file that looks secret in a script folder
    ├── MissingInput            KeyError           a script asks for data that is not among its step's inputs
    ├── ConnectionFailed        ConnectionError    Azure ML did not answer, or answered with an error
    │   └── LoginFailed         PermissionError    no credentials found, or insufficient permissions
    ├── NoSuchJob               FileNotFoundError  no job folder of this name
    ├── FolderTaken             FileExistsError    the folder already holds a job
    ├── FolderBusy              BlockingIOError    the folder is in use by another command
    ├── FolderClosed            PermissionError    a job folder cannot be written to
    ├── BadRecord               ValueError         a job folder's record cannot be read
    ├── TransferFailed          OSError            files could not be transferred; `report` lists those that were
    ├── RunFailed               RuntimeError       a run failed; the message is its root cause
    │   └── RunCanceled                            a run was canceled before it ended
    └── RunTimeout              TimeoutError       a run did not end within the timeout

Each class also derives from the builtin beside it. If a class is raised without a message, its docstring is the
message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class WrapperError(Exception):
    """Something went wrong in azureml_wrapper."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or " ".join((type(self).__doc__ or type(self).__name__).split())
        super().__init__(self.message)

    def __str__(self) -> str:
        # KeyError.__str__ would return the repr of the message, with its line breaks escaped.
        return self.message


class ConfigError(WrapperError):
    """Invalid config. Correct what is listed and load it again."""


class ConfigNotFound(ConfigError, FileNotFoundError):
    """No config found. Pass a dict or a path, or put .azureml/config.json into this folder or one above it."""


class ConfigSyntax(ConfigError, ValueError):
    """Cannot parse the config file. Correct the line that is named."""


class MissingKey(ConfigError, KeyError):
    """A required key is missing from the config. Add it."""


class WrongType(ConfigError, TypeError):
    """The config has a value of the wrong type. Use the type that is named."""


class BadValue(ConfigError, ValueError):
    """The config has an invalid value or an unknown key. Use one of those listed."""


class SeveralProblems(MissingKey, WrongType, BadValue):
    """The config has several problems. Correct what is listed and load it again."""


class BadName(WrapperError, ValueError):
    """Azure ML does not accept the name. Use the characters that are listed."""


class BadArgument(WrapperError, TypeError):
    """An argument has the wrong type. Pass the type that is named."""


class BadPipeline(WrapperError, ValueError):
    """The steps do not make a pipeline. Correct the step that is named."""


class BadParameter(WrapperError, ValueError):
    """The pipeline does not accept this parameter. Use one of those listed."""


class BadSchedule(WrapperError, ValueError):
    """Invalid schedule. Use one of the frequencies listed."""


class NotRegistered(WrapperError, NameError):
    """The workspace does not have it. Register it first, or correct the name."""


class UnregisteredDataset(NotRegistered):
    """The dataset is not registered in the workspace. Register it with register_csv, or correct the name."""


class UnregisteredDatastore(NotRegistered):
    """The datastore is not registered in the workspace. Register it with register_blob_datastore, or correct it."""


class UnregisteredEnvironment(NotRegistered):
    """The environment is not registered in the workspace. Register it with register_env, or correct the name."""


class UnregisteredCompute(NotRegistered):
    """The compute target is not in the workspace. Create it with register_compute, or correct the name."""


class UnregisteredPipeline(NotRegistered):
    """No published pipeline of the workspace has this name. Publish it with register, or correct the name."""


class UnregisteredSchedule(NotRegistered):
    """No active schedule of the workspace has this name. Correct it; `aml schedules` lists them."""


class UnregisteredRun(NotRegistered):
    """The workspace has no run of this id. Correct the id; `aml runs` lists them."""


class AlreadyRegistered(WrapperError, ValueError):
    """The name is already registered with other settings. Use another name, or remove the existing one."""


class BadData(WrapperError, ValueError):
    """Invalid CSV file. Check that it has a header, and name its delimiter."""


class ScriptNotFound(WrapperError, FileNotFoundError):
    """The script of a step is not in its script_directory. Correct script_name or script_directory."""


class SnapshotTooLarge(WrapperError, ValueError):
    """The script folder exceeds Azure ML's limits. List what the scripts do not need in a file .amlignore."""


class SecretInFolder(WrapperError, ValueError):
    """A file of the script folder looks secret. List it in a file .amlignore, or send it on purpose with `!/file`."""


class MissingInput(WrapperError, KeyError):
    """The step has no such input. Add it to the step's config, or pass it on the command line."""


class ConnectionFailed(WrapperError, ConnectionError):
    """Azure ML could not be reached. Check the network, the proxy and the names in the config."""


class LoginFailed(ConnectionFailed, PermissionError):
    """Not logged in to Azure. Run `az login`, or use a service principal or `auth=`."""


class NoSuchJob(WrapperError, FileNotFoundError):
    """No such job folder. Correct its name; `aml status all` lists those below `output`."""


class FolderTaken(WrapperError, FileExistsError):
    """The folder already holds a job. Use another folder, or `--force` to replace that job."""


class FolderBusy(WrapperError, BlockingIOError):
    """The job folder is in use by another command. Try again when that has finished."""


class FolderClosed(WrapperError, PermissionError):
    """Cannot write to the job folder. Use another folder, or make this one writable."""


class BadRecord(WrapperError, ValueError):
    """Cannot read the record of the job folder. Correct it, or submit the job again."""


class TransferFailed(WrapperError, OSError):
    """Some files could not be transferred. Start the transfer again: files that have arrived are skipped.

    `report` is a `TransferReport` of what was transferred; None if nothing was.
    """

    report: Any = None


class RunFailed(WrapperError, RuntimeError):
    """The run failed. See its logs."""


class RunCanceled(RunFailed):
    """The run was canceled before it ended. Submit it again."""


class RunTimeout(WrapperError, TimeoutError):
    """The run has not ended yet. Wait again, or cancel it."""


def near(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Return up to three of `names` that resemble `name`, the best first."""
    known = {each.lower(): each for each in names}
    return [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3, cutoff=cutoff)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` Did you mean 'x' or 'y'?`, or an empty string."""
    matches = near(name, names)
    return f" Did you mean {' or '.join(map(repr, matches))}?" if matches else ""

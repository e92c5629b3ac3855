"""Everything that this library raises by itself.

    WrapperError
    ├── ConfigError                           a config that cannot be used: all its problems in one message
    │   ├── ConfigNotFound      FileNotFoundError  no such file, or no .azureml/config.json here or above
    │   ├── ConfigSyntax        ValueError         the file is not JSON or YAML
    │   ├── MissingKey          KeyError           a key that is needed is not there
    │   ├── WrongType           TypeError          a value of the wrong type, or a config that is no mapping
    │   ├── BadValue            ValueError         a value that is not allowed, or a key that nothing knows
    │   └── SeveralProblems                        a MissingKey, a WrongType and a BadValue at once
    ├── BadName                 ValueError         a name that Azure ML would refuse
    ├── BadArgument             TypeError          an argument of the wrong type
    ├── BadPipeline             ValueError         steps that cannot be put together
    ├── BadParameter            ValueError         a pipeline parameter that is not there, or with another type
    ├── BadSchedule             ValueError         a schedule that cannot be
    ├── NotRegistered           NameError          the workspace does not have it
    │   ├── UnregisteredDataset
    │   ├── UnregisteredDatastore
    │   ├── UnregisteredEnvironment
    │   ├── UnregisteredCompute
    │   ├── UnregisteredPipeline
    │   ├── UnregisteredSchedule
    │   └── UnregisteredRun
    ├── AlreadyRegistered       ValueError         it is there, with other settings, and has no versions
    ├── BadData                 ValueError         an empty CSV, or one with another delimiter
    ├── ScriptNotFound          FileNotFoundError  a step's script is not in its folder
    ├── SnapshotTooLarge        ValueError         a script folder over Azure ML's limits
    ├── MissingInput            KeyError           a script asks for data that its step does not get
    ├── ConnectionFailed        ConnectionError    Azure ML did not answer, or answered with an error
    │   └── LoginFailed         PermissionError    nobody to connect as, or somebody who may not
    ├── NoSuchJob               FileNotFoundError  no job folder of this name
    ├── FolderTaken             FileExistsError    the folder holds a job already
    ├── FolderBusy              BlockingIOError    another command works in the folder
    ├── FolderClosed            PermissionError    a job folder cannot be written to
    ├── BadRecord               ValueError         a job folder's record cannot be read
    ├── TransferFailed          OSError            files could not be sent or fetched; `report` tells which were
    ├── RunFailed               RuntimeError       a run failed; the message is its root cause
    │   └── RunCanceled                            a run was stopped before its end
    └── RunTimeout              TimeoutError       a run takes longer than one wanted to wait

Each class also derives from the builtin that stands beside it. A class's docstring is its message where it is raised
without one.
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
        # KeyError's own would print the repr of the message, with its line breaks escaped.
        return self.message


class ConfigError(WrapperError):
    """The config cannot be used. Correct what is listed and load it again."""


class ConfigNotFound(ConfigError, FileNotFoundError):
    """There is no config. Give a dict or a path, or put .azureml/config.json into this folder or one above it."""


class ConfigSyntax(ConfigError, ValueError):
    """The config file cannot be read. Correct the line that is named."""


class MissingKey(ConfigError, KeyError):
    """The config lacks a key. Add it."""


class WrongType(ConfigError, TypeError):
    """The config has a value of the wrong type. Give one of the type that is named."""


class BadValue(ConfigError, ValueError):
    """The config has a value or a key that is not allowed. Use one of those that are listed."""


class SeveralProblems(MissingKey, WrongType, BadValue):
    """The config has several problems. Correct what is listed and load it again."""


class BadName(WrapperError, ValueError):
    """The name is not allowed in Azure ML. Use the characters that are listed."""


class BadArgument(WrapperError, TypeError):
    """An argument has the wrong type. Give one of the type that is named."""


class BadPipeline(WrapperError, ValueError):
    """The steps do not make a pipeline. Correct the step that is named."""


class BadParameter(WrapperError, ValueError):
    """The pipeline cannot take this parameter. Use one of those that are listed."""


class BadSchedule(WrapperError, ValueError):
    """The schedule is not possible. Use one of the frequencies that are listed."""


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
    """The name is taken by something with other settings. Use another name, or remove what is there."""


class BadData(WrapperError, ValueError):
    """The CSV file cannot be used. Check that it has a header, and name its delimiter."""


class ScriptNotFound(WrapperError, FileNotFoundError):
    """The script of a step is not in its script_directory. Correct script_name or script_directory."""


class SnapshotTooLarge(WrapperError, ValueError):
    """The script folder is over Azure ML's limits. List what the scripts do not need in a file .amlignore."""


class MissingInput(WrapperError, KeyError):
    """The step does not get this data. Add it to the step's config, or pass it on the command line."""


class ConnectionFailed(WrapperError, ConnectionError):
    """Azure ML could not be reached. Check the network, the proxy and the names in the config."""


class LoginFailed(ConnectionFailed, PermissionError):
    """Nobody is logged in to Azure. Run `az login`, or give a service principal or `auth=`."""


class NoSuchJob(WrapperError, FileNotFoundError):
    """There is no such job folder. Correct its name; `aml status all` lists those below `output`."""


class FolderTaken(WrapperError, FileExistsError):
    """The folder holds a job already. Use another folder, or `--force` to put the new job in its place."""


class FolderBusy(WrapperError, BlockingIOError):
    """Another command works in the job folder. Try again when it has ended."""


class FolderClosed(WrapperError, PermissionError):
    """The job folder cannot be written to. Use another folder, or allow writing in this one."""


class BadRecord(WrapperError, ValueError):
    """The record of a job folder cannot be read. Correct it, or submit the job again."""


class TransferFailed(WrapperError, OSError):
    """Files could not be transferred. Start the transfer again: what has arrived is not sent twice.

    `report` is what was done before, a `TransferReport`; None where nothing was.
    """

    report: Any = None


class RunFailed(WrapperError, RuntimeError):
    """The run failed. See its logs."""


class RunCanceled(RunFailed):
    """The run was cancelled before its end. Submit it again."""


class RunTimeout(WrapperError, TimeoutError):
    """The run has not ended yet. Wait again, or cancel it."""


def near(name: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that `name` may have been meant to be, best first."""
    known = {each.lower(): each for each in names}
    return [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """` Did you mean 'x' or 'y'?`, or nothing."""
    matches = near(name, names)
    return f" Did you mean {' or '.join(map(repr, matches))}?" if matches else ""

"""ScriptWrapper: what the script of a step uses, in a job or started by hand."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml_wrapper.assets.names import input_name
from azureml_wrapper.errors import BadArgument, BadData, MissingInput, did_you_mean
from azureml_wrapper.messages import inform

if TYPE_CHECKING:
    from pandas import DataFrame

Arguments = argparse.Namespace
_LAST_YEAR = 9999


class ScriptWrapper:
    """The arguments, run, config and data of a step's script.

    The script can also be started by hand: `python train.py --config '{"lr": 0.1}' --input-folder in --output-folder
    out --train-data train.csv`. `--config` also accepts a .json or .yml file. All other arguments are in `args`,
    under their names with "_" for "-".
    """

    def __init__(self, argv: Sequence[str] | None = None) -> None:
        self.args = parse(sys.argv[1:] if argv is None else argv)
        self.config: dict[str, Any] = read_config(self.args.config)

    @cached_property
    def run(self) -> Any:
        """The run of the job; outside a job the SDK's offline run, which prints what is logged."""
        from azureml.core import Run

        return Run.get_context()

    @property
    def input_folder(self) -> str | None:
        """The folder that the previous step wrote; None for the first step."""
        return self._text(self.args.input_folder)

    @property
    def output_folder(self) -> str | None:
        """The folder that the next step reads, created if missing; None for the last step."""
        folder = self._text(self.args.output_folder)
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        return folder

    def get_config(self) -> dict[str, Any]:
        """Return the step's config; an empty dict if it has none."""
        return self.config

    def get_csv_from_input_folder(self, name: str) -> DataFrame:
        """Read a CSV file that the previous step saved.

        Args:
            name: the name of the file, with or without ".csv".

        Raises:
            MissingInput: the step has no input folder, or the file does not exist in it.
            BadData: the file is empty, or `name` leads out of the folder.
        """
        if self.input_folder is None:
            raise MissingInput("This step has no --input-folder: it is the first step, or was started without one.")
        file = _file(Path(self.input_folder), name)
        if not file.is_file():
            there = sorted(path.name for path in Path(self.input_folder).glob("*"))
            found = did_you_mean(file.name, there) or f" It contains: {', '.join(there) or 'nothing'}."
            raise MissingInput(f"{file.name} not found in the input folder.{found}")
        return _read_csv(file)

    def save_csv_in_output_folder(self, df: DataFrame, name: str, index: bool = False, header: bool = True) -> Path:
        """Save a table as a CSV file for the next step, and return its path.

        Args:
            df: the table.
            name: the name of the file, with or without ".csv".
            index: whether to write the index of the rows.
            header: whether to write the names of the columns.

        Raises:
            MissingInput: the step has no output folder.
            BadData: `name` leads out of the folder.
        """
        if self.output_folder is None:
            raise MissingInput(
                "This step has no --output-folder: it is the last step, or was started without one. "
                "Write the results of a last step to the folder 'outputs'."
            )
        file = _file(Path(self.output_folder), name)
        file.parent.mkdir(parents=True, exist_ok=True)
        df.to_csv(file, index=index, header=header)
        return file

    def get_csv_from_config(self, key_or_name: str) -> DataFrame:
        """Read a dataset of the step as a table.

        Outside a job, this reads the file that was passed as an argument of that name (`--test-data test.csv`), or
        else `<name of the dataset>.csv` in the current folder.

        Args:
            key_or_name: a key of the config whose value is the name of the dataset, or the name itself.

        Raises:
            MissingInput: the dataset is not among the step's inputs.
            BadData: the file is empty, or the dataset has several CSV files.
        """
        name = str(self.config.get(key_or_name, key_or_name))
        inputs = getattr(self.run, "input_datasets", {})
        if input_name(name) in inputs:
            return _to_table(inputs[input_name(name)])
        for file in self._files(key_or_name, name):
            if file.is_file():
                return _read_csv(file)
        known = f" Its inputs are {', '.join(inputs)}." if inputs else ""
        raise MissingInput(
            f"This step has no dataset {name!r}.{known} Add it to input_datasets; outside a job, pass a file: "
            f"--{name.replace('_', '-')} path.csv"
        )

    def complete(self) -> None:
        """Send what was logged. In a job, the service sets the status when the script has ended."""
        self.run.complete()

    def _files(self, key: str, name: str) -> Iterator[Path]:
        """The paths at which the dataset's file may be if the script was started by hand."""
        for argument in (key, name):
            given = getattr(self.args, argument.lstrip("-").replace("-", "_"), None)
            if isinstance(given, str):
                yield Path(given)
        yield Path(f"{name}.csv")

    @staticmethod
    def _text(value: Any) -> str | None:
        return value if isinstance(value, str) and value else None


def parse(argv: Sequence[str]) -> Arguments:
    """Parse all arguments: the three that every step has, and any others.

    `--name value` gives a string, `--name a b` a list, `--name` alone True; arguments before the first name are in
    `rest`.
    """
    arguments = Arguments(config=None, input_folder=None, output_folder=None, rest=[])
    name = ""
    values: list[str] = []
    for word in [*argv, "--"]:
        if not _is_name(word):
            values.append(word)
            continue
        _keep(arguments, name, values)
        name, equals, value = word.lstrip("-").partition("=")
        values = [value] if equals else []
    return arguments


def _is_name(word: str) -> bool:
    """Return whether a word is the name of an argument: `--name` and `-n`, but not `-1` and `-inf`."""
    return word.startswith("--") or (word[:1] == "-" and word[1:2].isalpha() and not _is_number(word))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _keep(arguments: Arguments, name: str, values: list[str]) -> None:
    if not name:
        arguments.rest += values
    else:
        value = True if not values else values[0] if len(values) == 1 else values
        setattr(arguments, name.replace("-", "_"), value)


def read_config(given: Any) -> dict[str, Any]:
    """Return the config of `--config`: JSON, or the path of a .json or .yml file if started by hand."""
    if given is None:
        return {}
    if isinstance(given, str) and not given.lstrip().startswith("{"):
        from azureml_wrapper.config.parsing import read

        config = read(Path(given)).data
    else:
        try:
            config = json.loads(given)
        except (TypeError, json.JSONDecodeError) as error:
            raise BadArgument(f"--config is neither JSON nor the path of a config file: {error}") from error
    if not isinstance(config, dict):
        raise BadArgument(f"--config must be a mapping, got {type(config).__name__}.")
    return config


def _file(folder: Path, name: str) -> Path:
    """Return the path of a file in a folder; `BadData` if the name leads out of it."""
    path = Path(name if name.lower().endswith(".csv") else f"{name}.csv")
    if path.is_absolute() or ".." in path.parts:
        raise BadData(f"{name!r} leads out of the folder. Use the name of a file in it.")
    return folder / path


def _to_table(dataset: Any) -> DataFrame:
    if isinstance(dataset, str):
        # A file dataset: the folder or the single file that it is mounted at.
        mounted = Path(dataset)
        files = [mounted] if mounted.is_file() else sorted(mounted.rglob("*.csv"))
        if len(files) != 1:
            raise BadData(f"The file dataset has {len(files)} CSV files; read the one you want from {dataset}.")
        return _read_csv(files[0])
    table = dataset.to_pandas_dataframe()
    _check_dates(table)
    return table


def _check_dates(table: DataFrame) -> None:
    """Report dates that the SDK's reader has taken for milliseconds; local/executor/inputs.py says why."""
    wrong = [name for name, column in table.items() if column.dtype.kind == "M" and column.dt.year.max() > _LAST_YEAR]
    if wrong:
        inform(
            f"{', '.join(map(str, wrong))}: these dates are after the year {_LAST_YEAR}. The SDK's reader takes the "
            "seconds of Parquet files for milliseconds. Write them as nanoseconds: astype('datetime64[ns]')."
        )


def _read_csv(file: Path) -> DataFrame:
    import pandas

    try:
        return pandas.read_csv(file)
    except pandas.errors.EmptyDataError as error:
        raise BadData(f"{file} is empty: it does not even have column names.") from error

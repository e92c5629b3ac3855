"""A project on this machine: the folders that the cloud executor knows, and the files that say what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from azureml_wrapper.errors import BadArgument, ConfigNotFound, ScriptNotFound, did_you_mean
from azureml_wrapper.file_paths import DATA, PIPELINE, RAW, WORKING

CONDA_FILE, COMPUTE_FILE = "pptdaml.yaml", "compute.yaml"
YAML = (".yml", ".yaml")
LISTED = 5


@dataclass(frozen=True)
class Project:
    """The folder that holds `pipeline` and `data_blobs`."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> Project:
        """The project of a folder; `ConfigNotFound` where it has no pipeline directory."""
        root = folder.expanduser().resolve()
        if not (root / PIPELINE).is_dir():
            raise ConfigNotFound(
                f"{root} has no folder {PIPELINE!r}: a project's scripts are below it. Start this in the project's "
                "folder, or name that with --project."
            )
        return cls(root)

    @property
    def pipeline(self) -> Path:
        return self.folder / PIPELINE

    @property
    def data(self) -> dict[str, Path]:
        """The folders of data that are there, by their names below data_blobs."""
        folders = {name: self.folder / DATA / name for name in (RAW, WORKING)}
        return {name: folder for name, folder in folders.items() if folder.is_dir()}

    def script(self, given: str) -> str:
        """A script's path in the pipeline directory, with "/"; `ScriptNotFound` where it is not there."""
        path = self._inner(given)
        if not (self.pipeline / path).is_file():
            raise ScriptNotFound(self._missing("script", path, "*.py", "--script-path"))
        return path

    def config(self, given: str) -> str:
        """A config file's path in the pipeline directory; `ConfigNotFound` where it is not there."""
        path = self._inner(given)
        if not (self.pipeline / path).is_file():
            raise ConfigNotFound(self._missing("config", path, f"*{PurePosixPath(path).suffix}", "--config-path"))
        return path

    def conda_file(self, given: Path | None) -> Path:
        """The file of the dependencies: the given one, pptdaml.yaml, or the only conda file of the project."""
        if given is not None or (self.folder / CONDA_FILE).is_file():
            return self._existing(given or Path(CONDA_FILE), "the script's dependencies")
        found = [file for file in self._yaml_files() if _has_dependencies(file)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(file.name for file in found)
        raise ConfigNotFound(
            f"{self.folder} has several conda files: {names}. Name one with --conda-file."
            if found
            else f"There is no {CONDA_FILE} in {self.folder}. List the script's dependencies in one, as conda does, "
            "or name the file with --conda-file."
        )

    def compute_file(self, given: str | None) -> Path | None:
        """The file that describes the compute; None where `given` is the name of one that exists."""
        if given is not None and not given.lower().endswith(YAML):
            return None
        return self._existing(Path(given or COMPUTE_FILE), "the compute to run on")

    def _inner(self, given: str) -> str:
        """Windows users write "\\"; what completion gives begins with the folder's own name."""
        path = PurePosixPath(given.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise BadArgument(f"{given!r} leads out of {self.pipeline}; give a path below it.")
        if not (self.pipeline / path).exists() and path.parts[:1] == (PIPELINE,) and (self.folder / path).exists():
            path = path.relative_to(PIPELINE)
        return path.as_posix()

    def _missing(self, what: str, path: str, pattern: str, option: str) -> str:
        """What to say of a file that is not in the pipeline directory, with the names that come near."""
        there = sorted(file.relative_to(self.pipeline).as_posix() for file in self.pipeline.rglob(pattern))
        hint = did_you_mean(path, there) or (f" There are: {', '.join(there[:LISTED])}." if there else "")
        return f"There is no {what} {path!r} in {self.pipeline}.{hint} Correct {option}."

    def _existing(self, file: Path, what: str) -> Path:
        """A file that is named from the current folder, or from the project's."""
        for path in (file.expanduser().absolute(), self.folder / file):
            if path.is_file():
                return path
        raise ConfigNotFound(f"There is no {file} in {self.folder}; it is to describe {what}.")

    def _yaml_files(self) -> list[Path]:
        return sorted(file for file in self.folder.iterdir() if file.suffix.lower() in YAML and file.is_file())


def datasets_path(given: str) -> str:
    """The path below data_blobs of what a script requires; `BadArgument` where it leads out of it."""
    path = PurePosixPath(given.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise BadArgument(f"{given!r} is no path below {DATA}; give one like working/images.")
    if path.parts[:1] == (DATA,):
        path = path.relative_to(DATA)
    return "" if path == PurePosixPath() else path.as_posix()


def _has_dependencies(file: Path) -> bool:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(content, dict) and "dependencies" in content

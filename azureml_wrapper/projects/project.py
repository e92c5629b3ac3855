"""A project on this machine: its folders, and the files that say what a script needs in the cloud."""

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
        """Return the project of a folder; `ConfigNotFound` if it has no pipeline directory."""
        root = folder.expanduser().resolve()
        if not (root / PIPELINE).is_dir():
            raise ConfigNotFound(
                f"{root} has no folder {PIPELINE!r}, which holds a project's scripts. Run this in the project's "
                "folder, or name the folder with --project."
            )
        return cls(root)

    @property
    def pipeline(self) -> Path:
        """The pipeline directory, which is uploaded with a script."""
        return self.folder / PIPELINE

    @property
    def data(self) -> dict[str, Path]:
        """The existing folders of data, by their names below data_blobs."""
        folders = {name: self.folder / DATA / name for name in (RAW, WORKING)}
        return {name: folder for name, folder in folders.items() if folder.is_dir()}

    def script(self, given: str) -> str:
        """Return a script's path in the pipeline directory, with "/"; `ScriptNotFound` if it does not exist."""
        path = self._relative(given)
        if not (self.pipeline / path).is_file():
            raise ScriptNotFound(self._missing("Script", path, "*.py", "--script-path"))
        return path

    def config(self, given: str) -> str:
        """Return a config file's path in the pipeline directory; `ConfigNotFound` if it does not exist."""
        path = self._relative(given)
        if not (self.pipeline / path).is_file():
            raise ConfigNotFound(self._missing("Config", path, f"*{PurePosixPath(path).suffix}", "--config-path"))
        return path

    def conda_file(self, given: Path | None) -> Path:
        """Return the conda file: the given one, by default pptdaml.yaml or the only conda file of the project.

        Raises:
            ConfigNotFound: It does not exist, or the project has several.
        """
        if given is not None or (self.folder / CONDA_FILE).is_file():
            return self._existing(given or Path(CONDA_FILE), "lists the script's dependencies")
        found = [file for file in self._yaml_files() if _has_dependencies(file)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(file.name for file in found)
        raise ConfigNotFound(
            f"{self.folder} has several conda files: {names}. Choose one with --conda-file."
            if found
            else f"{CONDA_FILE} not found in {self.folder}. List the script's dependencies in this conda file, or "
            "name another one with --conda-file."
        )

    def compute_file(self, given: str | None) -> Path | None:
        """Return the file that describes the compute target; None if `given` is the name of an existing one."""
        if given is not None and not given.lower().endswith(YAML):
            return None
        return self._existing(Path(given or COMPUTE_FILE), "describes the compute target to run on")

    def _relative(self, given: str) -> str:
        """Accept "\\", which Windows users write, and the folder's own name in front, which shells complete."""
        path = PurePosixPath(given.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise BadArgument(f"{given!r} leads out of {self.pipeline}. Use a path below it.")
        if not (self.pipeline / path).exists() and path.parts[:1] == (PIPELINE,) and (self.folder / path).exists():
            path = path.relative_to(PIPELINE)
        return path.as_posix()

    def _missing(self, what: str, path: str, pattern: str, option: str) -> str:
        """The message for a file that the pipeline directory does not have, with similar names."""
        found = sorted(file.relative_to(self.pipeline).as_posix() for file in self.pipeline.rglob(pattern))
        hint = did_you_mean(path, found) or (f" Found: {', '.join(found[:LISTED])}." if found else "")
        return f"{what} {path!r} not found in {self.pipeline}.{hint} Correct {option}."

    def _existing(self, file: Path, purpose: str) -> Path:
        """A file whose path is relative to the current folder, or to the project's."""
        for path in (file.expanduser().absolute(), self.folder / file):
            if path.is_file():
                return path
        raise ConfigNotFound(f"{file} not found in {self.folder}. This file {purpose}.")

    def _yaml_files(self) -> list[Path]:
        return sorted(file for file in self.folder.iterdir() if file.suffix.lower() in YAML and file.is_file())


def datasets_path(given: str) -> str:
    """Return the path below data_blobs of what a script requires; `BadArgument` if it leads out of data_blobs."""
    path = PurePosixPath(given.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise BadArgument(f"{given!r} is not a path below {DATA}, such as working/images.")
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

"""Shows a job the packages of its base environment, in the job's own interpreter (overlay.py).

Every Python of the job imports this file at its start; a forked one calls `adopt`. It has no dependencies and needs
Python 3.6 or later.

The job's `site-packages` is empty at first. After it, `sys.path` has `base-0`, `base-1`, …: links to the folders of
packages of the base environment. Tools install into the first and leave the others alone, because they are outside of
the environment. To remove a package of the base, they need it inside: `fill` links every file of the base into
`site-packages`, to which the links `base-…` lead from then on; running processes see that, too.
"""

import os
import site
import sys

# pip imports this when it is to uninstall something, whoever has called it.
_REMOVES = "pip._internal.commands.uninstall"


class _Watch:
    """Finds no module, but learns in time that pip is going to remove packages."""

    def __init__(self, environment: str) -> None:
        self._environment = environment

    def find_spec(self, name: str, *_: object) -> None:
        if name == _REMOVES:
            fill(self._environment)


def show(environment: str) -> None:
    """Append the packages of the base to `sys.path`, with what their .pth files add."""
    for base in _unfilled(environment):
        site.addsitedir(base)
    _prepare(environment)


def adopt(environment: str) -> None:
    """Turn this process, which runs in the base environment, into one of the job's."""
    links = {os.path.realpath(base): base for base in bases(environment)}
    real = [os.path.realpath(path) for path in sys.path]
    first = next((place for place, path in enumerate(real) if path in links), len(sys.path))
    sys.path[:] = [links.get(place, path) for place, path in zip(real, sys.path)]  # noqa: B905 - Python 3.6
    sys.path.insert(first, packages(environment))
    sys.executable = os.path.join(environment, "bin", "python")  # noqa: PTH118
    sys.prefix = sys.exec_prefix = environment
    site.PREFIXES[:] = [environment]
    # Both keep what they have read at their import.
    known = sys.modules.get("sysconfig")
    if known is not None:
        known.__dict__.update(
            _PREFIX=environment, _EXEC_PREFIX=environment, _CONFIG_VARS=None, _CONFIG_VARS_INITIALIZED=False
        )
    spawn = sys.modules.get("multiprocessing.spawn")
    if spawn is not None:
        spawn.set_executable(sys.executable)
    _prepare(environment)


def _prepare(environment: str) -> None:
    sys.meta_path.insert(0, _Watch(environment))
    # Virtual environments refuse it; what a job installs is its own anyway.
    if "--user" in getattr(sys, "argv", ()) and _is_pip():
        sys.argv[:] = [word for word in sys.argv if word != "--user"]


def _is_pip() -> bool:
    words = getattr(sys, "orig_argv", None)
    if words is None:
        # Before Python 3.10; macOS has no such file, and pip's own message about --user appears there.
        try:
            with open("/proc/self/cmdline", errors="replace") as file:  # noqa: PTH123 - pathlib is slow to import
                words = file.read().split("\0")
        except OSError:
            words = []
    # `python -m pip`, `python bin/pip3`, or `python __pip-runner__.py`, by which pip starts itself elsewhere.
    return any("pip" in word.rpartition("/")[2] for word in words[1:3])


def packages(environment: str) -> str:
    """The folder of what the job installs."""
    return os.path.join(environment, "lib", "python{}.{}".format(*sys.version_info), "site-packages")  # noqa: PTH118


def bases(environment: str) -> "list[str]":
    """The links to the base's folders of packages."""
    return sorted(os.path.join(environment, name) for name in os.listdir(environment) if name.startswith("base-"))  # noqa: PTH118, PTH208


def _unfilled(environment: str) -> "list[str]":
    own = packages(environment)
    return [base for base in bases(environment) if not os.path.samefile(base, own)]  # noqa: PTH121


def fill(environment: str) -> None:
    """Link all packages of the base into the environment. A version that the job has installed stays."""
    own, folders = packages(environment), _unfilled(environment)
    for base in folders:
        _link(os.path.realpath(base), own, _replaced(base, own))
    for base in folders:
        os.symlink(own, base + ".new")  # noqa: PTH211
        os.rename(base + ".new", base)  # noqa: PTH104


def _replaced(base: str, own: str) -> "set[str]":
    """The files of the base's distributions of which the job has another version."""
    names = {_name(info) for info in os.listdir(own)} - {None}  # noqa: PTH208
    replaced = set()
    for info in os.listdir(base):  # noqa: PTH208
        if _name(info) in names:
            replaced.add(info)
            replaced.update(_files(os.path.join(base, info, "RECORD")))  # noqa: PTH118
    return replaced


def _name(folder: str) -> "str | None":
    """The distribution that a folder has the metadata of."""
    if not folder.endswith((".dist-info", ".egg-info")):
        return None
    name = folder.rpartition(".")[0].partition("-")[0]
    return name.lower().replace("_", "-").replace(".", "-")


def _files(record: str) -> "list[str]":
    if not os.path.exists(record):  # noqa: PTH110
        return []
    with open(record, encoding="utf-8") as file:  # noqa: PTH123
        return [line.rsplit(",", 2)[0].strip('"') for line in file]


def _link(source: str, target: str, replaced: "set[str]", inside: str = "") -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            path, own = inside + entry.name, os.path.join(target, entry.name)  # noqa: PTH118
            if path in replaced:
                continue
            if entry.is_dir():
                if not os.path.isdir(own):  # noqa: PTH112
                    os.mkdir(own)  # noqa: PTH102
                _link(entry.path, own, replaced, path + "/")
            elif not os.path.lexists(own):
                os.symlink(entry.path, own)  # noqa: PTH211


if __name__ == "__main__":
    fill(sys.prefix)

"""Stops programs whose SDK is too old for the local Azure ML, before they import it.

azureml-core below 1.40 calls Azure itself for the list of subscriptions, whatever addresses are configured
(`_get_subscription_ids_via_client` in azureml/core/authentication.py), and without a token it asks the user to log in
there.

`aml local exec` puts a copy of this file, named sitecustomize.py, into PYTHONPATH. Every Python below the program
imports it at its start. It has no dependencies and needs Python 3.6 or later.
"""

import os
import sys

OLDEST = (1, 40)
_SDK = "azureml.core"
_AS_SITECUSTOMIZE = "sitecustomize"


class _Watch:
    """Finds no module, but learns in time that the SDK is going to be imported."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == _SDK:
            version = installed_version(list(sys.modules["azureml"].__path__))
            if version and _is_old(version):
                sys.exit(refusal(version))


def refusal(version: str) -> str:
    """The sentence for a program with an old SDK."""
    return (
        "The local Azure ML requires azureml-core>={}.{}, and {} has {}, which would contact Azure instead: install "
        "a newer one in this environment, or use another environment.".format(*OLDEST, sys.executable, version)
    )


def installed_version(folders: "list[str]") -> "str | None":
    """The version of azureml-core beside one of the folders of the package `azureml`, read from its metadata."""
    for folder in folders:
        beside = os.path.dirname(folder.rstrip(os.sep))  # noqa: PTH120 - pathlib is slow to import
        for name in os.listdir(beside) if os.path.isdir(beside) else ():  # noqa: PTH112, PTH208
            start, _, rest = name.partition("-")
            if start == "azureml_core" and rest.endswith((".dist-info", ".egg-info")):
                return rest.rpartition(".")[0].partition("-")[0]
    return None


def _is_old(version: str) -> bool:
    try:
        return tuple(map(int, version.split(".")[:2])) < OLDEST
    except ValueError:
        # A custom build.
        return False


def _make_way() -> None:
    """Import the sitecustomize that this copy hides, if there is one."""
    own = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != own]  # noqa: PTH100
    module = sys.modules.pop(__name__)
    try:
        __import__(_AS_SITECUSTOMIZE)
    except ImportError as error:
        sys.modules[__name__] = module
        if error.name != _AS_SITECUSTOMIZE:
            raise


if __name__ == _AS_SITECUSTOMIZE:
    sys.meta_path.insert(0, _Watch())
    _make_way()

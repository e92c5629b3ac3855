"""What every Python program on the local Azure ML does at its start: it watches for two imports.

`azureml.core`: a version below 1.40 ends the program. It calls Azure itself for the list of subscriptions, whatever
addresses are configured (`_get_subscription_ids_via_client` in azureml/core/authentication.py), and without a token
it asks the user to log in there.

`azure.identity`: each of its credentials gets the tokens of the local service from MSI_ENDPOINT. Without that, only
the credential of a managed identity would: the others run the Azure CLI, open a browser, or validate their authority
at login.microsoftonline.com, and no variable turns that off. For resources that the service refuses, such as a key
vault, a credential does what it always does.

`aml local exec` puts a copy of this file, named sitecustomize.py, into PYTHONPATH. Every Python below the program
imports it at its start. It has no dependencies and needs Python 3.6 or later.
"""

import os
import sys

# Type checkers take it for the name in `typing`, whose import would cost each program some milliseconds.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

OLDEST = (1, 40)
MSI = "MSI_ENDPOINT"
_SDK = "azureml.core"
_IDENTITY = ("azure.identity", "azure.identity.aio")
_AS_SITECUSTOMIZE = "sitecustomize"


class _Watch:
    """Finds the modules as Python does, but learns in time that they are going to be imported."""

    def find_spec(self, name: str, path: "Sequence[str] | None" = None, _: object = None) -> "ModuleSpec | None":
        if name == _SDK:
            version = installed_version(list(sys.modules["azureml"].__path__))
            if version and _is_old(version):
                sys.exit(refusal(version))
        if name in _IDENTITY and os.environ.get(MSI):
            return _found(name, path)
        return None


def _found(name: str, path: "Sequence[str] | None") -> "ModuleSpec | None":
    """The specification of the module, whose credentials log in to the local service once it is imported."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name, path)
    loader = spec and spec.loader
    if loader:
        execute = loader.exec_module

        def exec_module(module: "ModuleType") -> None:
            execute(module)
            for exported in list(getattr(module, "__all__", ())):
                kind = getattr(module, exported)
                if isinstance(kind, type) and exported.endswith("Credential"):
                    _log_in(kind, name.endswith("aio"))

        # Of this loader, which is made for this import alone.
        loader.exec_module = exec_module  # type: ignore[method-assign]
    return spec


def _log_in(kind: "type", is_async: bool) -> None:
    """Let a class of credentials ask the local service first."""
    for method, result in (("get_token", "AccessToken"), ("get_token_info", "AccessTokenInfo")):
        given = getattr(kind, method, None)
        if given is not None:
            setattr(kind, method, _asynchronous(given, result) if is_async else _synchronous(given, result))


def _synchronous(given: "Callable[..., Any]", result: str) -> "Callable[..., Any]":
    def get_token(self: object, *scopes: str, **options: object) -> "Any":
        return _token(scopes, result) or given(self, *scopes, **options)

    return get_token


def _asynchronous(given: "Callable[..., Any]", result: str) -> "Callable[..., Any]":
    async def get_token(self: object, *scopes: str, **options: object) -> "Any":
        return _token(scopes, result) or await given(self, *scopes, **options)

    return get_token


def _token(scopes: "tuple[str, ...]", result: str) -> "object":
    """A token of the local service for a scope (`https://ml.azure.com/.default`); None if it has none for that."""
    import json
    from urllib.error import HTTPError
    from urllib.parse import urlencode
    from urllib.request import ProxyHandler, build_opener

    from azure.core import credentials

    scope = scopes[0] if scopes else ""
    resource = scope[: -len("/.default")] if scope.endswith("/.default") else scope
    try:
        # On this machine, and never through a proxy.
        with build_opener(ProxyHandler({})).open(
            os.environ[MSI], urlencode({"resource": resource}).encode()
        ) as answer:
            found = json.loads(answer.read().decode())
    except HTTPError as error:
        if error.code == 400:
            return None
        raise
    return getattr(credentials, result)(found["access_token"], int(found["expires_on"]))


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

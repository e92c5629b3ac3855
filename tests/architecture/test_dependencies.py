"""setup.py declares every package that the code imports, with a floor above its known CVEs."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.source import FILES, ROOT, place, tree

# Modules of the project, as scripts of users and steps see them.
OWN = {"azureml_wrapper", "azureml_user"}
# What an extra or the user brings; the file is only imported by those who have it.
# SDK v2 is imported for types only.
OF_EXTRAS = {
    "azureml_wrapper/testing.py": {"pytest", "azure-ai-ml"},
    "azureml_wrapper/connection/local_api.py": {"azure-ai-ml"},
    "azureml_wrapper/connection/ml_client.py": {"azure-ai-ml"},
}
NOT_IMPORTED = {
    "azureml-dataprep": "the SDK reads datasets with it, and does not depend on it",
    "httptools": "uvicorn parses HTTP with it where it is installed",
    "tzdata": "zoneinfo reads it",
}
# The last version with a known CVE that concerns this use, or with one that scanners report.
VULNERABLE = {
    "azure-core": "1.37.0",
    "azure-identity": "1.16.0",
    "certifi": "2024.6.2",
    "cryptography": "46.0.4",
    "jinja2": "3.1.5",
    "pydantic": "2.3.0",
    "pyopenssl": "25.3.0",
    "requests": "2.32.3",
    "starlette": "0.49.0",
    "urllib3": "2.6.2",
    "uv": "0.9.5",
}


@cache
def metadata() -> dict[str, list[str]]:
    """What setup.py tells setuptools: requirements by extra; those without one under ""."""
    told = {}
    original = setuptools.setup
    setuptools.setup = told.update
    try:
        sys.path.insert(0, str(ROOT))
        runpy.run_path(str(ROOT / "setup.py"))
    finally:
        setuptools.setup = original
        sys.path.remove(str(ROOT))
    return {"": told["install_requires"], **told["extras_require"]}


def requirements(*extras: str) -> dict[str, Requirement]:
    parsed = [Requirement(line) for extra in extras for line in metadata()[extra]]
    return {canonicalize_name(each.name): each for each in parsed}


@cache
def providers() -> dict[str, str]:
    """Module → the distribution whose file it is: exact for namespaces such as azure and azureml, too."""
    tops = {module.split(".")[0] for _, _, module in imports()}
    found = {}
    for distribution in distributions():
        # Each look at its name reads its metadata anew.
        name = canonicalize_name(distribution.name)
        # `distribution.files` makes a path of each of 100,000 files.
        for line in (distribution.read_text("RECORD") or "").splitlines():
            file = line.partition(",")[0]
            if re.split(r"[/.]", file, maxsplit=1)[0] in tops and file.endswith((".py", ".so", ".pyd")):
                module = ".".join([*file.split("/")[:-1], file.split("/")[-1].split(".")[0]])
                found[module.removesuffix(".__init__")] = name
    return found


def provider(module: str) -> str | None:
    while module and module not in providers():
        module = module.rpartition(".")[0]
    return providers().get(module)


def third_party(file: Path) -> Iterator[tuple[str, str]]:
    """(place, module) of each import that is neither of Python nor of this project, those for types included."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] not in OWN | sys.stdlib_module_names:
                yield place(file, node), module


@cache
def imports() -> list[tuple[Path, str, str]]:
    return [(file, *found) for file in FILES for found in third_party(file)]


def test_every_import_is_of_a_package_that_setup_py_declares():
    declared = requirements("").keys()
    missing = {
        f"{where} imports {module} of {provider(module)}"
        for file, where, module in imports()
        if provider(module) not in declared | OF_EXTRAS.get(file.relative_to(ROOT).as_posix(), set())
    }
    assert sorted(missing) == []


def test_every_declared_package_is_imported_or_says_what_needs_it():
    imported = {provider(module) for _, _, module in imports()}
    assert requirements("").keys() - imported == NOT_IMPORTED.keys()


def test_the_pandas_that_the_sdk_s_packages_ask_for_is_allowed():
    """azureml-dataset-runtime[pandas] asks for one below 2, azureml-dataprep[pandas] for one below 3."""
    allowed = requirements("")["pandas"].specifier
    assert [each for each in ("1.5.3", "2.0.3", "2.3.3", "3.0.0") if each in allowed] == ["1.5.3", "2.0.3", "2.3.3"]


def test_the_next_version_of_uvicorn_has_to_be_tested_first():
    """Its internals are overridden (local/server.py): tests/contract/test_uvicorn.py covers them."""
    allowed, installed = requirements("")["uvicorn"].specifier, Version(version("uvicorn"))
    assert allowed.contains(installed)
    assert not allowed.contains(f"{installed.major}.{installed.minor + 1}")


@pytest.mark.parametrize("name", VULNERABLE)
def test_floors_are_above_known_vulnerabilities(name):
    requirement = requirements("", "v2")[name]
    assert not requirement.specifier.contains(VULNERABLE[name], prereleases=True)
    assert Version(VULNERABLE[name]) < min(Version(each.version) for each in requirement.specifier)

"""Which interpreter a script gets, over packages that are only said to be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Invalid
from azureml_wrapper.local.executor.environments import OwnPackages, choose, conda_requirement, sdk_notes
from azureml_wrapper.local.executor.pythons import Python, own_python
from azureml_wrapper.local.services.environment_definitions import read_environment


class Packages:
    """An interpreter's packages by name; `needs` are requirements with extras."""

    python = "3.11.4"

    def __init__(self, needs=None, **versions):
        self._versions = {name.replace("_", "-"): version for name, version in versions.items()}
        self._needs = needs or {}

    def version(self, name):
        return self._versions.get(name.lower().replace("_", "-"))

    def requires(self, name):
        return self._needs.get(name, ())


INSTALLED = Packages(
    needs={"fastapi": ["starlette>=0.40", 'httpx>=0.23; extra == "standard"', 'orjson; extra == "all"']},
    pandas="2.2.0",
    scikit_learn="1.5.2",
    azureml_core="1.61.0.post4",
    fastapi="0.115.0",
    httpx="0.27.0",
    torch="2.6.0+cpu",
)


def pip(*lines, **fields):
    return choose(EnvironmentSpec(pip=lines, **fields), INSTALLED)


def test_an_environment_without_packages_gets_the_own_interpreter():
    choice = pip()
    assert choice.interpreter == Path(sys.executable)
    assert "requests no packages" in choice.reasons[0]


@pytest.mark.parametrize(
    "line",
    [
        "git+https://example.com/team/azureml_wrapper.git",
        "git+ssh://git@example.com/team/azureml-wrapper@main#egg=azureml_wrapper",
        "azureml_wrapper @ git+https://example.com/fork.git",
    ],
)
def test_the_wrapper_of_an_address_is_the_service_s_own(line):
    own = Packages(azureml_wrapper="0.1.0", pandas="2.2.0")
    choice = choose(EnvironmentSpec(pip=(line, "pandas")), own)
    assert choice.interpreter == Path(sys.executable)
    assert any("the service's own azureml_wrapper 0.1.0 is used" in reason for reason in choice.reasons)
    assert pip(line).interpreter is None


def test_packages_that_python_s_own_modules_hide_are_not_needed():
    choice = pip("argparse", "pathlib==1.0.1", "pandas")
    assert choice.interpreter == Path(sys.executable)
    assert "argparse is part of Python itself." in choice.reasons


@pytest.mark.parametrize(
    "line",
    [
        "pandas",
        "Pandas>=2",
        "pandas==2.2.0",
        "pandas~=2.2",
        "scikit_learn<2",
        "scikit-learn==1.5.*",
        "torch==2.6.0",
        "fastapi[standard]",
        'tomli; python_version < "3.8"',
        "azureml-core",
    ],
)
def test_what_is_installed_needs_nothing(line):
    choice = pip(line)
    assert choice.interpreter == Path(sys.executable)
    assert len(choice.reasons) == 1
    assert "has all 1 packages" in choice.reasons[0]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("lightgbm", "lightgbm is not installed"),
        ("pandas==1.5.3", "pandas==1.5.3 is requested and 2.2.0 is installed"),
        ("pandas>=3", "pandas>=3 is requested and 2.2.0 is installed"),
        ("fastapi[all]", "orjson of fastapi[all] is not installed"),
        ("git+https://example.com/x.git", "has to be installed"),
        ("./local.whl", "has to be installed"),
        ("pandas @ https://example.com/p.whl", "has to be installed"),
    ],
)
def test_what_is_missing_is_built_and_said(line, why):
    choice = pip(line, "scikit-learn", pip_options=("--index-url https://x",))
    assert choice.interpreter is None
    assert why in choice.reasons[0]
    assert choice.requirements == (line, "scikit-learn")
    assert choice.options == ("--index-url https://x",)


def test_a_hash_is_checked_so_the_package_is_installed():
    choice = pip("pandas==2.2.0 --hash=sha256:8abb", pip_options=("--prefer-binary",))
    assert "pandas==2.2.0 has to be installed with its hash" in choice.reasons[0]
    assert "--prefer-binary is not used: environments are built with uv" in choice.reasons[1]


def test_hashes_are_for_all_packages():
    with pytest.raises(Invalid, match="'scikit-learn' has no --hash, but others have"):
        pip("pandas==2.2.0 --hash=sha256:8abb", "scikit-learn")
    with pytest.raises(Invalid, match="'pandas' has no --hash"):
        pip("pandas", pip_options=("--require-hashes",))


def test_an_option_of_a_package_that_uv_lacks_is_refused():
    with pytest.raises(Invalid, match="has --global-option: environments are built with uv"):
        pip("lightgbm --global-option=--gpu")


def test_an_editable_package_of_a_repository_is_installed_as_it_is():
    choice = pip("-e git+https://me:secret@example.com/x.git#egg=x")
    assert choice.requirements == ("-e git+https://me:secret@example.com/x.git#egg=x",)
    assert "is not editable" in choice.reasons[1]
    assert "secret" not in " ".join(choice.reasons)


OLD = Python(version="3.9.18", path=Path("/pyenv/python"), source="pyenv")


def test_what_is_built_has_the_python_that_is_asked_for():
    spec = EnvironmentSpec(pip=("lightgbm",), python="3.9")
    choice = choose(spec, INSTALLED, pythons=lambda: [own_python(), OLD])
    assert choice.python == OLD
    assert "because lightgbm is not installed. Python 3.9.18 (pyenv: /pyenv/python) is used" in choice.reasons[0]
    assert choice.other_python == ""


def test_a_python_that_is_not_there_is_said_first():
    choice = pip("lightgbm", python="3.5")
    assert choice.python == own_python()
    assert "although Python 3.5 is requested" in choice.reasons[0]
    assert choice.reasons[0].endswith(choice.other_python)
    assert choice.other_python


def test_the_nearest_patch_is_said_for_the_runs_page_too():
    spec = EnvironmentSpec(pip=("lightgbm",), python="3.9.2")
    choice = choose(spec, INSTALLED, pythons=lambda: [own_python(), OLD])
    assert choice.other_python.startswith("Python 3.9.18 (pyenv: /pyenv/python) is used: Python 3.9.2 is requested")


def test_an_environment_that_names_no_python_is_built_with_any():
    assert pip("lightgbm").python is None


def test_a_pinned_sdk_that_is_not_used_is_named_with_the_one_that_is():
    assert pip("azureml-defaults==1.48.0").reasons[1] == (
        "azureml-defaults==1.48.0 is for Azure's machines; it is not needed here. "
        "Scripts use azureml-core 1.61.0.post4 in place of the requested version."
    )


def test_what_is_built_gets_what_is_pinned_and_nothing_else_is_said():
    choice = pip("azureml-defaults==1.48.0", "azureml-core==1.48.0", "lightgbm", image="my/image:1")
    assert choice.requirements == ("azureml-defaults==1.48.0", "azureml-core==1.48.0", "lightgbm")
    assert not any("1.61.0.post4" in reason or "not needed here" in reason for reason in choice.reasons)
    assert "docker image my/image:1 is not used" in choice.reasons[1]


@pytest.fixture
def environment(tmp_path):
    """Makes an environment with the metadata of packages; its interpreter."""

    def make(**versions: str) -> Path:
        for name, version in versions.items():
            place = tmp_path / f"env/lib/python3.8/site-packages/{name}-{version}.dist-info"
            place.mkdir(parents=True)
            (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        return tmp_path / "env" / "bin" / "python"

    return make


def test_the_sdk_of_an_environment_is_named(environment):
    notes = list(sdk_notes(environment(azureml_core="1.56.0", azureml_dataprep="5.1.6", six="1.17.0")))
    assert notes == ["The environment's SDK: azureml-core 1.56.0, azureml-dataprep 5.1.6."]


def test_datasets_that_need_dotnet_are_named(environment):
    python = environment(azureml_core="1.54.0.post1", azureml_dataprep="4.12.10", dotnetcore2="3.1.23")
    [_, dotnet] = sdk_notes(python)
    assert "azureml-dataprep 4.12.10 reads datasets with .NET, which the local Azure ML does not support" in dotnet


def test_an_sdk_older_than_those_that_are_tested_is_named(environment):
    notes = list(sdk_notes(environment(azureml_core="1.20.0.post1", azureml_mlflow="1.34.0")))
    assert notes[1:] == [
        "azureml-core 1.20.0.post1 is older than 1.34, the oldest that is tested with the local Azure ML.",
        "azureml-mlflow 1.34.0 is older than 1.40, the oldest that is tested with the local Azure ML.",
    ]


def test_an_environment_without_the_sdk_has_no_notes(environment):
    assert list(sdk_notes(environment(six="1.17.0"))) == []


def test_packages_for_azures_machines_are_not_needed_here():
    choice = pip("azureml-defaults", "azureml-telemetry==1.50", "inference-schema[numpy-support]")
    assert choice.interpreter == Path(sys.executable)
    assert sum("not needed here" in reason for reason in choice.reasons) == 3


def test_what_a_script_may_log_with_is_built_where_it_is_not_there():
    assert pip("azureml-mlflow").requirements == ("azureml-mlflow",)


def test_without_the_sdk_they_are_built():
    assert choose(EnvironmentSpec(pip=("azureml-defaults",)), Packages()).interpreter is None


def test_another_version_of_the_sdk_is_said_and_not_built():
    choice = pip("azureml-core==1.48.0")
    assert choice.interpreter == Path(sys.executable)
    assert "azureml-core==1.48.0 is requested, 1.61.0.post4 is used." in choice.reasons


def test_a_package_of_the_sdk_that_is_missing_is_built():
    assert pip("azureml-train-automl-runtime").interpreter is None


@pytest.mark.parametrize(
    ("wanted", "is_said"),
    [
        ("3.11", False),
        ("3.11.4", False),
        ("3", False),
        (">=3.9", False),
        ("3.8.13", True),
        (">=3.12", True),
        ("nonsense", True),
    ],
)
def test_another_python_is_said(wanted, is_said):
    choice, text = pip(python=wanted), f"Python {wanted} is requested, 3.11.4 is used."
    assert (text in choice.reasons) is is_said
    assert choice.other_python == (text if is_said else "")


def test_images_are_said():
    reasons = pip(image="my/image:1", dockerfile="FROM x").reasons
    assert any("docker image my/image:1 is not used" in reason for reason in reasons)
    assert any("dockerfile is not built" in reason for reason in reasons)


def test_a_user_managed_environment_is_taken_as_it_is():
    choice = choose(EnvironmentSpec(user_managed=True, interpreter="python", pip=("nothing",)), INSTALLED)
    assert choice.interpreter == Path(sys.executable)
    assert "user-managed" in choice.reasons[0]


def test_a_user_managed_interpreter_may_be_named():
    choice = choose(EnvironmentSpec(user_managed=True, interpreter="/bin/sh"), INSTALLED)
    assert choice.interpreter == Path("/bin/sh")


def test_a_user_managed_interpreter_that_is_not_there_is_refused():
    with pytest.raises(Invalid, match="/opt/none/python does not exist on this machine"):
        choose(EnvironmentSpec(user_managed=True, interpreter="/opt/none/python"), INSTALLED)


def test_lines_that_name_files_are_refused():
    with pytest.raises(Invalid, match=r"-r more\.txt"):
        pip("pandas", unreadable=("'-r more.txt' names a file.",))


# Conda


def conda(*lines, has_conda=False, **fields):
    return choose(EnvironmentSpec(conda=lines, **fields), INSTALLED, has_conda=has_conda)


@pytest.mark.parametrize(
    "line", ["pandas", "pandas=2.2", "conda-forge::pandas>=2", "scikit-learn=1.5.2=py311h1234_0"]
)
def test_a_conda_package_that_is_installed_needs_nothing(line):
    assert conda(line).interpreter == Path(sys.executable)


@pytest.mark.parametrize("line", ["cudatoolkit=11.3", "pandas=1.5", "libgcc"])
def test_a_conda_package_that_nothing_provides_is_refused_by_name(line):
    with pytest.raises(Invalid, match=line):
        conda("scikit-learn", line)


def test_with_conda_it_is_built_by_conda():
    choice = conda("cudatoolkit=11.3", has_conda=True)
    assert choice.interpreter is None
    assert choice.conda
    assert "cudatoolkit=11.3" in choice.reasons[0]


def test_conda_packages_come_from_pip_where_an_environment_is_built_for_pips_sake():
    choice = conda("pandas=2.2", "scikit-learn", pip=("lightgbm",))
    assert choice.interpreter is None
    assert not choice.conda
    assert choice.requirements == ("lightgbm", "pandas==2.2.*", "scikit-learn")


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy", "numpy"),
        ("numpy=1.2", "numpy==1.2.*"),
        ("numpy=1.2.*", "numpy==1.2.*"),
        ("numpy==1.2.3", "numpy==1.2.3"),
        ("numpy 1.2.3", "numpy==1.2.3"),
        ("numpy>=1.2,<2", "numpy<2,>=1.2"),
        ("conda-forge::numpy=1.2=py38_0", "numpy==1.2.*"),
    ],
)
def test_condas_words_for_pip(line, requirement):
    assert str(conda_requirement(line)) == requirement


def test_what_is_nothing_to_pip_is_none():
    assert conda_requirement("a b c d") is None


def test_the_own_packages_are_those_of_this_interpreter():
    own = OwnPackages()
    assert own.version("pytest") == pytest.__version__
    assert own.version("not-there-at-all") is None
    assert own.python == ".".join(map(str, sys.version_info[:3]))


def test_what_is_installed_or_removed_meanwhile_is_seen(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    own = OwnPackages()
    assert own.version("made-by-a-test") is None
    folder = tmp_path / "made_by_a_test-1.5.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: made-by-a-test\nVersion: 1.5\n")
    assert own.version("made-by-a-test") == "1.5"
    (folder / "METADATA").unlink()
    folder.rmdir()
    assert own.version("made-by-a-test") is None


def test_the_sdks_plain_environment_needs_nothing():
    definition = {
        "python": {
            "userManagedDependencies": False,
            "interpreterPath": "python",
            "condaDependencies": {"dependencies": ["python=3.8.13", {"pip": ["azureml-defaults"]}]},
        },
        "docker": {"baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"},
    }
    choice = choose(read_environment(definition), INSTALLED)
    assert choice.interpreter == Path(sys.executable)

"""What an environment's definition asks for, and the versions of the registered ones."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.clock import SystemClock
from azureml_wrapper.local.domain.environments import EnvironmentSpec
from azureml_wrapper.local.domain.errors import Conflict, Invalid, NotFound
from azureml_wrapper.local.services.curated import curated
from azureml_wrapper.local.services.environment_definitions import normalise, read_environment
from azureml_wrapper.local.store.database import Database
from azureml_wrapper.local.store.environments import EnvironmentStore


def definition(*dependencies, channels=None, **python):
    conda = {"name": "project_environment", "dependencies": list(dependencies)}
    if channels is not None:
        conda["channels"] = channels
    return {"python": {"condaDependencies": conda, **python}}


@pytest.fixture
def environments():
    return EnvironmentStore(Database(":memory:"), SystemClock(), curated=curated(), normalise=normalise)


def test_nothing_asks_for_nothing():
    assert read_environment({}) == EnvironmentSpec(variables={})


def test_pip_and_conda_packages_are_told_apart():
    spec = read_environment(
        definition("python=3.10", "numpy=1.26", {"pip": ["pandas"]}, "scikit-learn", channels=["conda-forge"])
    )
    assert spec.pip == ("pandas",)
    assert spec.conda == ("numpy=1.26", "scikit-learn")
    assert spec.python == "3.10"
    assert spec.channels == ("conda-forge",)


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("pandas", "pandas"),
        ("pandas==2.3.1", "pandas==2.3.1"),
        ("  pandas >=2, <4  ", "pandas >=2, <4"),
        ("pandas[excel,html]~=2.3", "pandas[excel,html]~=2.3"),
        ("pandas # the table library", "pandas"),
        ("tomli; python_version < '3.11'", "tomli; python_version < '3.11'"),
        ("git+https://example.org/a.git@v1#egg=a", "git+https://example.org/a.git@v1#egg=a"),
        ("a @ https://example.org/a-1.0-py3-none-any.whl", "a @ https://example.org/a-1.0-py3-none-any.whl"),
    ],
)
def test_a_pip_line_is_kept_as_pip_reads_it(line, requirement):
    assert read_environment(definition({"pip": [line]})).pip == (requirement,)


def test_comments_and_empty_lines_are_no_requirements():
    assert read_environment(definition({"pip": ["# a comment", "", "  ", "numpy\n# more\nscipy"]})).pip == (
        "numpy",
        "scipy",
    )


def test_options_are_kept_apart_from_requirements():
    spec = read_environment(definition({"pip": ["--index-url https://example.org/simple", "--pre", "numpy"]}))
    assert spec.pip == ("numpy",)
    assert spec.pip_options == ("--index-url https://example.org/simple", "--pre")


def test_the_options_that_the_sdk_always_adds_are_left_out():
    added = [
        "--find-links https://pypi.python.org/simple/index.html",
        "--extra-index-url https://pypi.python.org/simple",
    ]
    assert read_environment(definition({"pip": [*added, "numpy"]})).pip_options == ()


def test_each_option_stands_alone_as_uv_reads_it():
    pip = ["--only-binary numpy,scipy", "-ihttps://a.example --trusted-host a.example", "-r https://a.example/r.txt"]
    assert read_environment(definition({"pip": pip})).pip_options == (
        "--only-binary numpy",
        "--only-binary scipy",
        "--index-url https://a.example",
        "--trusted-host a.example",
        "-r https://a.example/r.txt",
    )


def test_an_entry_may_continue_the_one_before_it():
    spec = read_environment(
        definition({"pip": ["six==1.16.0 \\", "    --hash=sha256:8abb", "--editable=git+https://a#egg=a"]})
    )
    assert spec.pip == ("six==1.16.0 --hash=sha256:8abb", "-e git+https://a#egg=a")


def test_what_pip_does_not_take_is_unreadable_and_shows_no_password():
    [sentence] = read_environment(definition({"pip": ["a @ https://me:secret@example.org/a ; nonsense"]})).unreadable
    assert "****@example.org" in sentence
    assert "secret" not in sentence


def test_an_environment_with_thousands_of_unusual_lines_is_refused():
    with pytest.raises(Invalid, match="1001 pip lines with options, markers, extras or addresses: at most 1000"):
        read_environment(definition({"pip": [f"x{number}[a]" for number in range(1001)]}))
    hashes = ["x==1 \\", *["--hash=sha256:" + "a" * 64 + " \\"] * 1500, "--hash=sha256:" + "b" * 64]
    assert len(read_environment(definition({"pip": hashes})).pip) == 1


@pytest.mark.parametrize("line", ["-r requirements.txt", "--requirement more.txt", "-e ./package", "-c limits.txt"])
def test_lines_that_name_local_files_are_unreadable(line):
    spec = read_environment(definition({"pip": [line, "numpy"]}))
    [sentence] = spec.unreadable
    assert sentence.startswith(f"{line!r} names a file")
    assert spec.pip == ("numpy",)
    assert spec.pip_options == ()


@pytest.mark.parametrize(
    ("entry", "python"),
    [
        ("python=3.10", "3.10"),
        ("python==3.10.4", "3.10.4"),
        ("python>=3.10,<3.12", ">=3.10,<3.12"),
        ("python 3.11", "3.11"),
        ("python", None),
        ("conda-forge::python=3.11", "3.11"),
        ("python=3.8.13", None),  # the SDK's own default: nobody chose it
        ("python=3.10.18", None),
    ],
)
def test_the_python_is_the_one_that_was_chosen(entry, python):
    spec = read_environment(definition(entry, "pip=24.0"))
    assert spec.python == python
    assert spec.conda == ()


def test_a_conda_package_whose_name_begins_with_python_is_a_package():
    assert read_environment(definition("python-dateutil=2.9", "pip")).conda == ("python-dateutil=2.9",)


def test_user_managed_dependencies_ask_for_no_packages():
    spec = read_environment(
        definition({"pip": ["azureml-defaults"]}, userManagedDependencies=True, interpreterPath="/opt/python")
    )
    assert spec.user_managed
    assert spec.pip == ()
    assert spec.interpreter == "/opt/python"


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1", None),
        ("mcr.microsoft.com/azureml/curated/sklearn-1.5:12", "mcr.microsoft.com/azureml/curated/sklearn-1.5:12"),
        ("python:3.11", "python:3.11"),
        (None, None),
    ],
)
def test_only_an_image_that_brings_something_is_asked_for(image, expected):
    assert read_environment({"docker": {"baseImage": image}}).image == expected


def test_a_dockerfile_and_variables_are_read():
    spec = read_environment({"docker": {"baseDockerfile": "FROM a"}, "environmentVariables": {"A": 1}})
    assert spec.dockerfile == "FROM a"
    assert spec.variables == {"A": "1"}


def test_keys_may_begin_in_upper_case():
    upper = {
        "Python": {"CondaDependencies": {"Dependencies": [{"Pip": ["numpy"]}]}},
        "EnvironmentVariables": {"A": "b"},
    }
    assert read_environment(upper).pip == ("numpy",)
    assert read_environment(upper).variables == {"A": "b"}


@pytest.mark.parametrize(
    "broken", [{"python": []}, definition({"pip": "numpy"}), {"python": {"condaDependencies": {"dependencies": "a"}}}]
)
def test_a_definition_of_another_shape_is_refused(broken):
    with pytest.raises(Invalid, match=r"must be a (mapping|list)"):
        read_environment(broken)


def test_a_kept_definition_is_named_by_its_content():
    one, other = normalise(definition("numpy")), normalise({"Python": definition("numpy")["python"], "Name": "x"})
    assert one == other
    assert one["python"]["condaDependencies"]["name"].startswith("azureml_")
    assert normalise(definition("scipy")) != one


def test_versions_count_up_and_an_equal_definition_is_no_new_one(environments):
    versions = [
        environments.register("ws", "e", definition(package)).version for package in ("a", "a", "b", "b", "a")
    ]
    assert versions == ["1", "1", "2", "2", "3"]


def test_a_version_of_ones_own_is_kept_and_never_changed(environments):
    assert environments.register("ws", "e", definition("a"), version="2024-01").version == "2024-01"
    assert environments.register("ws", "e", definition("a"), version="2024-01").version == "2024-01"
    with pytest.raises(Conflict, match="2024-01"):
        environments.register("ws", "e", definition("b"), version="2024-01")
    assert environments.register("ws", "e", definition("b")).version == "1"


def test_latest_is_what_was_registered_last(environments):
    environments.register("ws", "e", definition("a"), version="7")
    environments.register("ws", "e", definition("b"), version="3")
    assert environments.get("ws", "e").version == "3"
    assert environments.by_label("ws", "e", "latest").version == "3"


def test_a_label_moves_from_version_to_version(environments):
    for package in ("a", "b"):
        environments.register("ws", "e", definition(package))
    environments.label("ws", "e", "1", ["good", "old"])
    environments.label("ws", "e", "2", ["good"])
    assert environments.by_label("ws", "e", "good").version == "2"
    assert environments.by_label("ws", "e", "old").version == "1"
    with pytest.raises(NotFound, match="label: nope"):
        environments.by_label("ws", "e", "nope")


def test_an_environment_that_a_run_used_is_found_by_its_version_only(environments):
    sent = {**definition("a"), "name": "e", "version": None}
    version = environments.used("ws", sent)
    assert version.startswith("Autosave_20")
    assert environments.used("ws", sent) == version
    assert environments.used("ws", {**definition("b"), "name": "e"}) != version
    assert environments.get("ws", "e", version).definition == normalise(definition("a"))
    assert environments.find("ws", "e") is None
    assert environments.versions("ws", "e") == []
    assert "e" not in {environment.name for environment in environments.latest("ws")}
    assert environments.register("ws", "e", definition("a")).version == "1"
    assert environments.used("ws", sent) == "1"


def test_the_version_that_a_run_names_is_kept(environments):
    assert environments.used("ws", {**definition("a"), "name": "e", "version": "7"}) == "7"
    assert environments.get("ws", "e").version == "7"


def test_a_changed_curated_environment_is_found_by_its_version(environments):
    sent = {**definition("mine"), "name": "AzureML-Minimal"}
    version = environments.used("ws", sent)
    assert environments.get("ws", "AzureML-Minimal", version).definition == normalise(definition("mine"))


def test_an_environment_without_a_name_gets_a_version_that_nothing_keeps(environments):
    assert environments.used("ws", definition("a")).startswith("Autosave_")


def test_workspaces_do_not_see_each_others_environments(environments):
    environments.register("ws", "e", definition("a"))
    with pytest.raises(NotFound, match="No definition exists for environment e"):
        environments.get("other", "e")


def test_curated_environments_are_everywhere_and_reserved(environments):
    assert {e.name for e in curated()} <= {e.name for e in environments.latest("any")}
    assert read_environment(environments.get("any", "AzureML-Minimal").definition).pip == ("azureml-defaults",)
    with pytest.raises(NotFound, match="version newest"):
        environments.get("any", "AzureML-Minimal", "newest")
    with pytest.raises(Invalid, match="can not start with the prefix AzureML"):
        environments.register("any", "AzureML-mine", definition("a"))


REGISTRY = "azureml://registries/azureml/environments"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("azureml-minimal", "AzureML-Minimal"),
        ("AzureML-SKLearn-1.5", "AzureML-sklearn-1.5"),
        ("AzureML-PyTorch-1.6-GPU", "AzureML-PyTorch-1.6-GPU"),
        ("AzureML-TensorFlow-2.2-CPU", "AzureML-TensorFlow-2.2-CPU"),
        ("AzureML-AutoML", "AzureML-AutoML"),
        ("AzureML-ai-ml-automl", "AzureML-ai-ml-automl"),
        (f"{REGISTRY}/sklearn-1.5/labels/latest", "AzureML-sklearn-1.5"),
        (f"{REGISTRY}/sklearn-1.5", "AzureML-sklearn-1.5"),
        (f"{REGISTRY}/ACPT-pytorch-2.2-cuda12.1/versions/38", "AzureML-acpt-pytorch-2.2-cuda12.1"),
    ],
)
def test_curated_environments_are_found_as_people_write_them(environments, name, found):
    assert environments.get("any", name).name == found
    assert environments.by_label("any", name, "latest").name == found


def test_a_version_of_the_registry_is_kept(environments):
    assert environments.get("any", f"{REGISTRY}/sklearn-1.5/versions/38").version == "38"


def test_an_environment_of_ones_own_comes_before_a_curated_one_in_another_case(environments):
    environments.register("ws", "azureml-minimal", definition("mine"))
    assert environments.get("ws", "azureml-minimal").name == "azureml-minimal"
    assert environments.get("ws", "AzureML-Minimal").name == "AzureML-Minimal"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("AzureML-sklern-1.5", "'AzureML-sklearn-1.5'"),
        ("sklearn-1.5", "'AzureML-sklearn-1.5'"),
        ("AzureML-PyTorch-1.6-GPUs", "'AzureML-PyTorch-1.6-GPU'"),
        (f"{REGISTRY}/sklearn-1.55/labels/latest", "'AzureML-sklearn-1.5'"),
        ("my-trainin", "'my-training'"),
    ],
)
def test_a_typo_names_what_is_near(environments, name, near):
    environments.register("ws", "my-training", definition("a"))
    with pytest.raises(NotFound, match=f"(?s)No definition exists for environment .*Did you mean .*{near}"):
        environments.get("ws", name)


def test_what_is_near_nothing_has_no_suggestion(environments):
    with pytest.raises(NotFound, match=r"^No definition exists for environment zzz$"):
        environments.get("ws", "zzz")


@pytest.mark.parametrize("name", ["a/b", "", "a b", "x" * 256, ".." + "/x"])
def test_a_name_that_azure_refuses_is_refused(environments, name):
    with pytest.raises(Invalid, match="environment name"):
        environments.register("ws", name, definition("a"))


def test_a_version_of_thousands_of_digits_does_not_count(environments):
    for version in ("9" * 5000, "3", "x"):
        environments.register("ws", "e", definition("a"), version=version)
    assert environments.register("ws", "e", definition("b")).version == "4"


@pytest.mark.parametrize("broken", [{"version": {}}, {"name": 5}, {"name": ["e"], "version": "1"}])
def test_the_environment_of_a_run_is_named_by_strings(environments, broken):
    with pytest.raises(Invalid, match="must be a string"):
        environments.used("ws", {"name": "e", **definition("a"), **broken})

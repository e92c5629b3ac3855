"""Environments through the SDK."""

from __future__ import annotations

import re

import pytest
from azureml._restclient.environment_client import EnvironmentClient
from azureml.core import Environment
from azureml.core.conda_dependencies import CondaDependencies
from azureml.exceptions import UserErrorException

from tests.waiting import until


def pip_environment(name: str, *packages: str) -> Environment:
    environment = Environment(name)
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=list(packages))
    return environment


def test_an_environment_of_pip_packages_comes_back_as_registered(ws, unique):
    name = unique("env")
    registered = pip_environment(name, "pandas==2.3.1", "numpy[extra]").register(ws)
    assert (registered.name, registered.version) == (name, "1")
    found = Environment.get(ws, name)
    assert {"pandas==2.3.1", "numpy[extra]"} <= set(found.python.conda_dependencies.pip_packages)
    assert found.environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    assert found.docker.base_image == Environment("x").docker.base_image


def test_registering_unchanged_gives_the_same_version(ws, unique):
    name = unique("env")
    first = pip_environment(name, "pandas").register(ws)
    assert pip_environment(name, "pandas").register(ws).version == first.version == "1"
    assert pip_environment(name, "numpy").register(ws).version == "2"


def test_registering_what_was_got_gives_the_same_version(ws, unique):
    name = unique("env")
    pip_environment(name, "pandas").register(ws)
    assert Environment.get(ws, name).register(ws).version == "1"


def test_versions_are_found_by_number_and_latest_by_default(ws, unique):
    name = unique("env")
    for package in ("pandas", "numpy"):
        pip_environment(name, package).register(ws)
    assert "pandas" in Environment.get(ws, name, version="1").python.conda_dependencies.pip_packages
    assert "numpy" in Environment.get(ws, name).python.conda_dependencies.pip_packages
    assert Environment.get(ws, name, label="latest").version == "2"


def test_a_label_names_a_version(ws, unique):
    name = unique("env")
    for package in ("pandas", "numpy"):
        pip_environment(name, package).register(ws)
    Environment.label(ws, name, "1", ["stable"])
    assert Environment.get(ws, name, label="stable").version == "1"
    with pytest.raises(Exception, match="404"):
        Environment.get(ws, name, label="nope")


def test_a_conda_file_is_kept(ws, unique, tmp_path):
    name, file = unique("env"), tmp_path / "conda.yml"
    file.write_text("name: x\nchannels: [conda-forge]\ndependencies:\n- python=3.10\n- scipy\n- pip:\n  - numpy\n")
    Environment.from_conda_specification(name, str(file)).register(ws)
    found = Environment.get(ws, name).python.conda_dependencies
    assert list(found.conda_packages) == ["python=3.10", "scipy"]
    assert list(found.pip_packages) == ["numpy"]


def test_a_pip_requirements_file_is_kept(ws, unique, tmp_path):
    name, file = unique("env"), tmp_path / "requirements.txt"
    file.write_text("numpy==1.26.4\nscipy\n")
    Environment.from_pip_requirements(name, str(file)).register(ws)
    found = Environment.get(ws, name).python.conda_dependencies
    assert list(found.pip_packages) == ["numpy==1.26.4", "scipy"]


def test_a_docker_image_is_kept(ws, unique):
    name = unique("env")
    Environment.from_docker_image(name, "example.org/image:1").register(ws)
    found = Environment.get(ws, name)
    assert found.docker.base_image == "example.org/image:1"
    assert found.python.user_managed_dependencies


def test_variables_and_a_dockerfile_are_kept(ws, unique):
    name = unique("env")
    environment = pip_environment(name, "numpy")
    environment.environment_variables = {"MODE": "à la carte"}
    environment.docker.base_image = None
    environment.docker.base_dockerfile = "FROM python:3.11\n"
    environment.register(ws)
    found = Environment.get(ws, name)
    assert found.environment_variables == {"MODE": "à la carte"}
    assert found.docker.base_dockerfile == "FROM python:3.11\n"


def test_listing_shows_the_latest_of_each_and_the_curated(ws, unique):
    name = unique("env")
    for package in ("pandas", "numpy"):
        pip_environment(name, package).register(ws)
    environments = ws.environments
    assert environments[name].version == "2"
    assert any(other.startswith("AzureML-") for other in environments)


def test_a_curated_environment_can_be_got_copied_and_not_replaced(ws, unique):
    curated = next(e for n, e in Environment.list(ws).items() if n.startswith("AzureML-"))
    assert Environment.get(ws, curated.name, version=curated.version).name == curated.name
    assert curated.clone(unique("env")).register(ws).version == "1"
    with pytest.raises(Exception, match="Environment name can not start with the prefix AzureML"):
        curated.register(ws)


def test_a_curated_environment_is_found_in_any_case_and_by_near_names(ws):
    assert Environment.get(ws, "azureml-pytorch-1.6-gpu").name == "AzureML-PyTorch-1.6-GPU"
    assert Environment.get(ws, "azureml-Minimal", label="latest").name == "AzureML-Minimal"
    with pytest.raises(Exception, match=r"environment AzureML-sklern-1.5. Did you mean 'AzureML-sklearn"):
        Environment.get(ws, "AzureML-sklern-1.5")


def test_a_missing_environment_is_named(ws, unique):
    name = unique("env")
    with pytest.raises(Exception, match=f"No definition exists for environment {name}"):
        Environment.get(ws, name)
    pip_environment(name, "numpy").register(ws)
    with pytest.raises(Exception, match=f"No definition exists for environment {name} version 9"):
        Environment.get(ws, name, version="9")


def test_the_version_that_was_set_is_used_and_not_overwritten(ws, unique):
    name = unique("env")
    environment = pip_environment(name, "numpy")
    environment.version = "2024.1"
    assert environment.register(ws).version == "2024.1"
    changed = pip_environment(name, "pandas")
    changed.version = "2024.1"
    with pytest.raises(Exception, match="Code: 409"):
        changed.register(ws)


@pytest.mark.local_only
def test_no_image_is_said_to_be_built(ws, unique):
    environment = pip_environment(unique("env"), "numpy").register(ws)
    assert not environment.get_image_details(ws).image_exist
    assert environment.get_image_details(ws).image.startswith("azureml/azureml_")
    with pytest.raises(Exception, match="has no image"):
        environment.build_local(ws)


@pytest.mark.local_only
def test_an_environment_is_built_ahead_of_its_runs(ws, unique):
    build = pip_environment(unique("env"), "numpy").build(ws)
    until(lambda: build.status != "Running")
    assert build.wait_for_completion(show_output=True).status == "Succeeded"
    assert "has all 1 packages of the environment" in build.get_log()


@pytest.mark.local_only
def test_a_build_that_fails_says_why(ws, unique):
    build = pip_environment(unique("env"), "no such package").build(ws, image_build_compute=None)
    until(lambda: build.status != "Running")
    assert build.status == "Failed"
    assert "no such package" in build.get_log()


@pytest.mark.local_only
def test_a_build_needs_an_environment_and_a_compute_that_exist(ws, unique):
    environment = pip_environment(unique("env"), "numpy").register(ws)
    with pytest.raises(Exception, match="Unknown compute target 'nowhere'"):
        environment.build(ws, image_build_compute="nowhere")
    client = EnvironmentClient(ws.service_context)
    with pytest.raises(Exception, match="Code: 404"):
        client._start_cloud_image_build(unique("env"), "1")
    build = environment.build(ws)
    with pytest.raises(Exception, match="Unknown build 12"):
        client._get_lro_response(build._location.rsplit("/", 1)[0] + "/12")


@pytest.mark.local_only
def test_building_a_missing_environment_is_an_error(ws, unique):
    with pytest.raises(UserErrorException, match="is not registered"):
        pip_environment(unique("env"), "numpy").build_local(ws)


@pytest.mark.local_only
def test_a_private_wheel_has_one_address(ws, unique, tmp_path):
    file = tmp_path / f"{unique('tiny')}-1.0-py3-none-any.whl"
    file.write_bytes(b"wheel")
    first, again = (Environment.add_private_pip_wheel(ws, str(file), exist_ok=True) for _ in range(2))
    assert first == again
    assert re.fullmatch(rf"https://local\w+\.blob\.core\.windows\.net@127\.0\.0\.1:\d+/azureml/.*/{file.name}", first)

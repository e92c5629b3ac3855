"""Files of `az ml` for computes, datastores and environments: what they become, and what is said of mistakes."""

from __future__ import annotations

import textwrap

import pytest

from azureml_wrapper.assets.compute_targets import Cluster
from azureml_wrapper.errors import BadValue, ConfigError, MissingKey, SeveralProblems, WrongType
from azureml_wrapper.v2 import read
from azureml_wrapper.v2.references import Reference

COMPUTE = """\
$schema: https://azuremlschemas.azureedge.net/latest/amlCompute.schema.json
name: gpu-cluster
type: amlcompute
size: Standard_NC6
tier: low_priority
min_instances: 0
max_instances: 4
idle_time_before_scale_down: 300
"""
DATASTORE = """\
name: images
type: azure_blob
account_name: account
container_name: faces
"""
ENVIRONMENT = """\
name: trainer
image: mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04
conda_file: conda.yml
"""


@pytest.fixture
def file(tmp_path):
    """`file(text)`: a file of that YAML."""

    def write(text: str, name: str = "file.yml"):
        (tmp_path / name).write_text(textwrap.dedent(text))
        return tmp_path / name

    return write


def test_a_cluster_has_sdk_v1s_words(file):
    compute, notes = read.read_compute(file(COMPUTE))
    assert compute.name == "gpu-cluster"
    assert compute.cluster == Cluster(
        vm_size="Standard_NC6", min_nodes=0, max_nodes=4, vm_priority="lowpriority", idle_seconds=300
    )
    assert (compute.settings, notes) == ({}, [])


def test_a_cluster_has_the_defaults_of_az_ml(file):
    compute, _ = read.read_compute(file("name: cpu\ntype: amlcompute\nsize: Standard_DS3_v2\n"))
    assert compute.cluster == Cluster(vm_size="Standard_DS3_v2", max_nodes=1, idle_seconds=120)


def test_the_further_settings_of_a_cluster_are_kept(file):
    more = """\
    description: For images
    tags: {team: a, cost: 7}
    location: westeurope
    identity: {type: user_assigned, user_assigned_identities: [{resource_id: /subscriptions/s/id}, /other]}
    network_settings: {vnet_name: net, subnet: sub}
    ssh_settings: {admin_username: me, ssh_key_value: ssh-rsa AAA}
    ssh_public_access_enabled: false
    enable_node_public_ip: false
    """
    compute, _ = read.read_compute(file(COMPUTE + textwrap.dedent(more)))
    assert compute.settings == {
        "description": "For images",
        "tags": {"team": "a", "cost": "7"},
        "location": "westeurope",
        "vnet_name": "net",
        "subnet_name": "sub",
        "admin_username": "me",
        "admin_user_ssh_key": "ssh-rsa AAA",
        "remote_login_port_public_access": "Disabled",
        "identity_type": "UserAssigned",
        "identity_id": ["/subscriptions/s/id", "/other"],
        "enable_node_public_ip": False,
    }


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("size: Standard_NC6\n", ""), MissingKey, r"file.yml: size is missing\."),
        (
            ("min_instances: 0", "min_instances: 9"),
            BadValue,
            r"line 6: min_instances is 9, more than max_instances, 4",
        ),
        (
            ("max_instances: 4", "max_instances: four"),
            WrongType,
            r"line 7: max_instances must be an integer, got 'f",
        ),
        (("low_priority", "lowpriority"), BadValue, r"line 5: tier is 'lowpriority'\. Did you mean 'low_priority'"),
        (("max_instances", "max_nodes"), BadValue, r"line 7: Unknown key max_nodes"),
        (("amlcompute", "computeinstance"), BadValue, r"line 3: type is 'computeinstance': only clusters"),
        (
            ("size:", "properties: {a: b}\nsize:"),
            BadValue,
            r"line 4: properties is refused: SDK v1's clusters have no properties",
        ),
        (("tier: low", "size: Standard_D2\ntier: low"), BadValue, r"line 5: Duplicate key size"),
    ],
)
def test_a_mistake_in_a_cluster_is_told_with_its_line(file, change, error, message):
    with pytest.raises(error, match=message):
        read.read_compute(file(COMPUTE.replace(*change)))


def test_all_mistakes_of_a_file_are_told_at_once_in_its_order(file):
    with pytest.raises(SeveralProblems) as raised:
        read.read_compute(file("typo: 1\nname: x\ntype: amlcompute\nmin_instances: -1\n"))
    assert str(raised.value).splitlines()[0].endswith("file.yml has 3 problems:")
    assert "line 1: Unknown key typo" in str(raised.value)
    assert "line 4: min_instances is -1; must be at least 0" in str(raised.value)


def test_settings_of_the_command_line_replace_those_of_the_file(file):
    compute, _ = read.read_compute(file(COMPUTE), ["max_instances=2", "name=other", "tags.team=a b"])
    assert (compute.name, compute.cluster.max_nodes, compute.settings) == ("other", 2, {"tags": {"team": "a b"}})


@pytest.mark.parametrize("setting", ["max_instances", "=2", "name.part=2"])
def test_a_setting_that_cannot_be_is_refused(file, setting):
    with pytest.raises(BadValue, match="--set"):
        read.read_compute(file(COMPUTE), [setting])


@pytest.mark.parametrize(
    ("credentials", "key", "sas"),
    [
        ("", None, None),
        ("credentials: {account_key: abc=}", "abc=", None),
        ("credentials: {sas_token: s}", None, "s"),
    ],
)
def test_a_datastore_has_a_key_a_token_or_nothing(file, credentials, key, sas):
    datastore, _ = read.read_datastore(file(DATASTORE + credentials))
    assert (datastore.name, datastore.account, datastore.container) == ("images", "account", "faces")
    assert (datastore.key, datastore.sas, datastore.protocol) == (key, sas, "https")


def test_a_key_may_stand_in_the_environment_and_is_never_shown(file, monkeypatch):
    monkeypatch.setenv("IMAGES_KEY", "s3cret")
    datastore, _ = read.read_datastore(file(DATASTORE + "credentials: {account_key: '${IMAGES_KEY}'}"))
    assert datastore.key == "s3cret"
    assert "s3cret" not in repr(datastore)
    monkeypatch.delenv("IMAGES_KEY")
    with pytest.raises(BadValue, match=r"line 5: credentials.account_key names .* IMAGES_KEY, which is not set"):
        read.read_datastore(file(DATASTORE + "credentials: {account_key: '${IMAGES_KEY}'}"))


def test_what_only_describes_a_datastore_is_said_not_to_be_kept(file):
    _, notes = read.read_datastore(file(DATASTORE + "description: Faces\n"))
    assert notes == ["line 5: description is not kept: SDK v1's datastores have no description."]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DATASTORE.replace("azure_blob", "azure_file"), "type is 'azure_file': only blob containers"),
        (DATASTORE + "credentials: {account_key: a, sas_token: b}", "an account_key and a sas_token; keep one"),
        (DATASTORE + "protocol: ftp", "protocol is 'ftp'"),
        ("- a\n", "a mapping of keys"),
    ],
)
def test_a_mistake_in_a_datastore_is_told(file, text, message):
    with pytest.raises(ConfigError, match=message):
        read.read_datastore(file(text))


def test_an_environment_has_an_image_and_a_conda_file_beside_it(file):
    file("dependencies: [python=3.10, {pip: [pandas]}]\n", "conda.yml")
    environment, _ = read.read_environment(file(ENVIRONMENT))
    assert environment.image == "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu20.04"
    assert environment.conda == {"dependencies": ["python=3.10", {"pip": ["pandas"]}]}
    inline, _ = read.read_environment(file(ENVIRONMENT.replace("conda.yml", "{dependencies: [numpy]}")))
    assert inline.conda == {"dependencies": ["numpy"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENVIRONMENT, r"line 3: conda_file is 'conda.yml', but .*conda.yml does not exist"),
        ("name: a\n", "has neither image nor conda_file"),
        ("name: a\nbuild: {path: .}\n", r"line 2: build is refused: .* name it as `image`"),
        ("name: a\nimage: b\nos_type: windows\n", "os_type is 'windows'"),
        ("name: AzureML-mine\nimage: b\n", "Azure reserves names with this prefix"),
        ("name: a\nconda_file: list.txt\n", "is not a conda file: must be a mapping"),
    ],
)
def test_a_mistake_in_an_environment_is_told(file, text, message):
    file("- a\n", "list.txt")
    with pytest.raises(BadValue, match=message):
        read.read_environment(file(text))


REGISTRY = "azureml://registries/azureml/environments"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("azureml:AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu@latest", None),
        ("azureml:AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu:12", "12"),
        ("azureml:AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu", None),
        (f"{REGISTRY}/pytorch-1.10-ubuntu18.04-py38-cuda11-gpu/labels/latest", None),
        (f"{REGISTRY}/pytorch-1.10-ubuntu18.04-py38-cuda11-gpu/versions/12", "12"),
        (f"{REGISTRY}/AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu", None),
    ],
)
def test_a_curated_environment_is_named_with_a_version_or_without(file, given, wanted):
    job, _ = read.read_job(file(f"command: ls\nenvironment: {given}\ncompute: c\n"))
    assert job.command.environment == Reference("AzureML-pytorch-1.10-ubuntu18.04-py38-cuda11-gpu", wanted)

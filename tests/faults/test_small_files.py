"""The small files of a home, damaged in every way: what can be created anew is, and no weak secret is accepted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys

import pytest
import requests

from azureml_wrapper.local import service_process, tls
from azureml_wrapper.local.home import Home, ServiceInfo
from azureml_wrapper.local.tokens import Tokens
from tests.waiting import until

DAMAGES = {"empty": b"", "junk": b"\xff\x00junk", "text": b"not what belongs here\n"}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@pytest.fixture(scope="module")
def used_home(tmp_path_factory):
    """A home that a service has used."""
    home = Home(tmp_path_factory.mktemp("used") / "home")
    service_process.start(home)
    service_process.stop(home)
    return home.path


@pytest.fixture
def home(used_home, tmp_path):
    shutil.copytree(used_home, tmp_path / "home")
    home = Home(tmp_path / "home")
    yield home
    service_process.stop(home)


def answers(home: Home) -> bool:
    """Whether a service of the home starts, and clients that trust its authority reach it."""
    info = service_process.start(home)
    headers = {"Authorization": f"Bearer {Tokens(info.secret).user()}"}
    address = f"https://127.0.0.1:{info.port}/subscriptions"
    return requests.get(address, headers=headers, timeout=30, verify=str(home.authority)).ok


@damaged
def test_damaged_files_do_not_keep_the_service_from_starting(home, damage):
    for name in ("port", "secret", "service.json"):
        (home.path / name).write_bytes(damage)
    assert answers(home)


@damaged
@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "expires"])
def test_a_damaged_certificate_is_replaced(home, name, damage):
    (home.tls / name).write_bytes(damage)
    tls.server_context(home)
    assert ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(home.authority) is None
    assert (home.tls / name).read_bytes() != damage


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "expires"])
def test_a_deleted_certificate_is_replaced(home, name):
    (home.tls / name).unlink()
    tls.server_context(home)
    assert (home.tls / name).exists()


def test_an_authority_that_did_not_sign_the_certificate_is_replaced(home, tmp_path):
    other = Home(tmp_path / "other")
    other.create()
    tls.server_context(other)
    shutil.copy(other.authority, home.authority)
    assert answers(home)


def test_certificates_that_are_fine_are_kept(home):
    before = home.authority.read_bytes()
    tls.server_context(home)
    assert home.authority.read_bytes() == before


@pytest.mark.parametrize("secret", ["", "short", "0" * 63])
def test_a_short_secret_is_replaced_and_signs_nothing(home, secret):
    (home.path / "secret").write_text(secret)
    info = service_process.start(home)
    assert len(info.secret) >= 64
    with pytest.raises(ValueError, match="too short"):
        Tokens(secret)


def test_a_secret_that_is_fine_is_kept(home):
    before = (home.path / "secret").read_text()
    assert home.secret() == before


def test_the_file_of_a_dead_service_is_not_believed(home):
    info = service_process.start(home)
    service_process.stop(home)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    home.write_service(ServiceInfo(pid=dead.pid, port=info.port, secret=info.secret))
    starting = subprocess.Popen(["flock", home.lock_file, "sleep", "60"])
    try:
        until(lambda: service_process._is_locked(home))
        assert service_process.find(home) is None
    finally:
        starting.terminate()
        starting.wait()


def test_a_service_writes_its_file_again(home):
    info = service_process.start(home)
    home.service_file.write_text("{")
    until(lambda: home.read_service() == info)


def test_more_in_the_service_file_is_no_error(home):
    content = {"pid": 1, "port": 2, "secret": "s", "version": "9.9"}
    home.service_file.write_text(json.dumps(content))
    assert home.read_service() == ServiceInfo(pid=1, port=2, secret="s")


def test_the_service_outlives_who_started_it(home):
    reader, writer = os.pipe()
    command = [
        sys.executable,
        "-m",
        "azureml_wrapper.local.server",
        "--home",
        str(home.path),
        "--ready-fd",
        str(writer),
    ]
    process = subprocess.Popen(command, pass_fds=[writer])
    os.close(writer)
    # As if the starter had been killed before the service was ready.
    os.close(reader)
    try:
        until(lambda: service_process.find(home))
        assert answers(home)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def test_a_folder_that_exists_keeps_its_mode_and_what_is_in_it_is_private(tmp_path):
    tmp_path.chmod(0o755)
    home = Home(tmp_path)
    try:
        service_process.start(home)
        assert tmp_path.stat().st_mode & 0o777 == 0o755
        readable = [path for path in tmp_path.rglob("*") if path.lstat().st_mode & 0o077]
        assert readable == []
    finally:
        service_process.stop(home)


def test_addresses_that_the_sdk_has_cached_are_forgotten_at_a_start(home):
    cached = home.cloud_settings / "cloudEndpoints.json"
    cached.write_text('{"clouds": []}')
    service_process.start(home)
    assert not cached.exists()

"""Proxies and certificates of the environment, through a real proxy that requires a login."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import pytest
from OpenSSL import crypto

from azureml_wrapper.connection.target import Access, Scope
from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.local.domain.addresses import without_proxy
from azureml_wrapper.local.domain.errors import NotFound
from azureml_wrapper.local.executor.variables import trusted_folder
from azureml_wrapper.local.executor.webfiles import fetch
from azureml_wrapper.local.home import Home, discard_trust, discard_unfinished
from azureml_wrapper.local.tls import server_context
from azureml_wrapper.network import BUNDLE, certificates, split, trust_variables, trusted
from azureml_wrapper.runs.history_client import HistoryClient
from azureml_wrapper.transfer.http_client import ConnectionBroken, HttpClient
from tests.proxies import LOGIN, Http, Socks5, proxy

VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
)


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Target(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"fine")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        content = b'{"value": [{"runId": "a"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def serve(context: ssl.SSLContext | None = None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Target)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


@pytest.fixture
def plain():
    with serve() as server:
        yield server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("home"))
    home.create()
    server_context(home)
    return home


@pytest.fixture
def secure(home):
    """A server whose certificate, for localhost, is signed by the authority of `home`."""
    with serve(server_context(home)) as server:
        yield server.server_port
        server.shutdown()


@pytest.fixture
def folder(home, tmp_path):
    """A folder with the authority of `home`, named as OpenSSL looks for it."""
    content = home.authority.read_bytes()
    name = f"{crypto.load_certificate(crypto.FILETYPE_PEM, content).subject_name_hash():08x}.0"
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / name).write_bytes(content)
    (tmp_path / "certs" / "readme.txt").write_text("not a certificate")
    return tmp_path / "certs"


def test_the_login_of_a_proxy_is_sent(plain, monkeypatch):
    with proxy(Http, plain) as made:
        monkeypatch.setenv("HTTP_PROXY", f"http://{LOGIN}@127.0.0.1:{made.port}")
        assert HttpClient("http://storage.invalid").send("GET", "http://storage.invalid/a").body == b"fine"
        assert made.seen == ["GET http://storage.invalid/a"]
        assert made.refused == 0


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_the_login_of_a_proxy_is_sent_for_tunnels(secure, home, monkeypatch, variable):
    monkeypatch.setenv("CURL_CA_BUNDLE", str(home.authority))
    with proxy(Http, secure) as made:
        # Without a scheme, it is a proxy of HTTP.
        monkeypatch.setenv(variable, f"{LOGIN}@127.0.0.1:{made.port}")
        assert HttpClient("https://localhost").send("GET", "https://localhost/a").body == b"fine"
        assert made.seen == ["CONNECT localhost:443"]


def test_a_socks_proxy_is_used_with_its_login(plain, monkeypatch):
    with proxy(Socks5, plain) as made:
        monkeypatch.setenv("HTTP_PROXY", f"socks5h://{LOGIN}@127.0.0.1:{made.port}")
        assert HttpClient("http://storage.invalid").send("GET", "http://storage.invalid/a").body == b"fine"
        assert made.seen == ["storage.invalid:80"]


def test_hosts_without_proxy_are_reached_directly(plain, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
    monkeypatch.setenv("NO_PROXY", f"other.invalid, 127.0.0.0/8:{plain},127.0.0.0/8")
    address = f"http://127.0.0.1:{plain}/a"
    assert HttpClient(address).send("GET", address).body == b"fine"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_wrong_login_is_told_at_once_with_the_variable_and_without_the_password(plain, monkeypatch, scheme):
    with proxy(Http, plain) as made:
        monkeypatch.setenv(f"{scheme}_proxy", f"http://user:wrong@127.0.0.1:{made.port}")
        client = HttpClient(f"{scheme}://storage.invalid")
        with pytest.raises(ConnectionBroken, match=f"407 .*set {scheme.upper()}_PROXY to http://USER") as told:
            client.send("GET", f"{scheme}://storage.invalid/a")
        assert "wrong" not in str(told.value)
        assert (made.refused, made.seen) == (1, [])


@pytest.mark.parametrize(
    "value", ["ftp://user:secret@proxy:1", "socks9://user:secret@proxy:1", "http://user:secret@:1"]
)
def test_an_unusable_proxy_is_told_without_its_password(monkeypatch, value):
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConnectionFailed, match=r"HTTPS_PROXY must be .*socks5h") as told:
        HttpClient("https://storage.invalid")
    assert "secret" not in str(told.value)


def test_commands_of_jobs_ask_through_the_proxy(plain, monkeypatch):
    client = HistoryClient(Access("http://azureml.invalid", lambda: "token"), Scope("sub", "group", "ws"))
    with proxy(Http, plain) as made:
        monkeypatch.setenv("HTTP_PROXY", f"http://{LOGIN}@127.0.0.1:{made.port}")
        assert list(client.runs("exp", ["a"])) == [{"runId": "a"}]
    with proxy(Http, plain) as made:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{made.port}")
        again = HistoryClient(Access("http://azureml.invalid", lambda: "token"), Scope("sub", "group", "ws"))
        with pytest.raises(ConnectionFailed, match=r"does not answer: the proxy requires another login"):
            list(again.runs("exp", ["a"]))


def test_files_of_web_addresses_are_fetched_through_the_proxy(plain, monkeypatch, tmp_path):
    with proxy(Http, plain) as made:
        monkeypatch.setenv("HTTP_PROXY", f"http://{LOGIN}@127.0.0.1:{made.port}")
        assert fetch("data", "http://data.invalid/a b.csv?sig=1", tmp_path).read_bytes() == b"fine"
        assert made.seen == ["GET http://data.invalid/a%20b.csv?sig=1"]
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{made.port}")
        with pytest.raises(NotFound, match="could not be fetched: HTTP 407 Proxy Authentication Required") as told:
            fetch("data", "http://data.invalid/a.csv?sig=1", tmp_path)
        assert "sig=1" not in str(told.value)


class TestCertificates:
    def get(self, port: int) -> bytes:
        address = f"https://localhost:{port}/a"
        return HttpClient(address).send("GET", address, attempts=1).body

    def test_without_any_those_of_certifi_are_trusted(self, secure):
        with pytest.raises(ConnectionBroken, match="certificate verify failed"):
            self.get(secure)

    @pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_they_may_be_a_file_or_a_folder(self, secure, home, folder, monkeypatch, name):
        for place in (home.authority, folder):
            monkeypatch.setenv(name, str(place))
            assert self.get(secure) == b"fine"

    def test_those_of_requests_come_first(self, secure, home, tmp_path, monkeypatch):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(home.authority))
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "missing"))
        assert self.get(secure) == b"fine"

    def test_what_is_not_there_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "company.pem"))
        with pytest.raises(ConnectionFailed, match=r"CURL_CA_BUNDLE must be .* got '.*company\.pem'"):
            HttpClient("https://localhost")
        monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path))
        with pytest.raises(ConnectionFailed, match="named by their hash"):
            HttpClient("https://localhost")

    def test_web_files_trust_them_as_well(self, secure, folder, monkeypatch, tmp_path):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(folder))
        assert fetch("data", f"https://localhost:{secure}/a", tmp_path / "in").read_bytes() == b"fine"
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(NotFound, match="certificate verify failed"):
            fetch("data", f"https://localhost:{secure}/b", tmp_path / "in")

    def test_jobs_trust_them_and_the_service(self, home, folder, tmp_path):
        other = Home(tmp_path / "other")
        other.create()
        server_context(other)
        authority = home.authority.read_bytes()
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            for place in (folder, home.authority):
                bundle = certificates(trusted_folder(other, {name: str(place)}))
                assert authority in bundle
                assert other.authority.read_bytes() in bundle

    def test_certificates_of_a_folder_are_those_that_openssl_finds(self, folder, home):
        assert certificates(trusted({"REQUESTS_CA_BUNDLE": str(folder)})) == home.authority.read_bytes()


class TestTheFolderOfCertificates:
    """What REQUESTS_CA_BUNDLE names: a connection reads one certificate of it, not all."""

    @pytest.fixture
    def place(self, home):
        return trusted_folder(home, {})

    def test_it_has_the_certificates_of_the_bundle_and_the_authority(self, place, home):
        expected = split(Path(certifi.where()).read_bytes() + home.authority.read_bytes())
        assert split(certificates(place)) == split((place / BUNDLE).read_bytes()) == expected
        assert len(expected) > 50

    def test_a_bundle_is_taken_apart_once_for_all_jobs(self, place, home, monkeypatch):
        monkeypatch.setattr("azureml_wrapper.local.home.split", None)
        assert trusted_folder(home, {}) == place

    def test_openssl_finds_each_certificate_in_it(self, place, secure):
        # A context that is given a folder has loaded nothing until a connection needs a certificate.
        context = ssl.create_default_context(capath=str(place))
        assert context.get_ca_certs() == []
        plain = socket.create_connection(("127.0.0.1", secure))
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            assert connection.getpeercert()["issuer"]
        assert len(context.get_ca_certs()) == 1

    def test_certificates_of_one_subject_are_numbered(self, home, tmp_path):
        others = [Home(tmp_path / name) for name in ("a", "b")]
        for other in others:
            other.create()
            server_context(other)
        content = b"".join(each.authority.read_bytes() for each in (*others, home))
        found = home.write_trust(content)
        assert sorted(file.suffix for file in found.iterdir()) == [".0", ".1", ".2", ".pem"]
        assert home.write_trust(b"".join(reversed(split(content)))) == found

    def test_keys_and_words_in_a_bundle_do_not_matter(self, home):
        content = (home.tls / "server.pem").read_bytes()
        assert b"PRIVATE KEY" in content
        found = home.write_trust(b"A company's own\r\n" + content)
        assert b"PRIVATE KEY" not in b"".join(file.read_bytes() for file in found.iterdir())

    def test_a_bundle_that_openssl_cannot_read_stays_a_file(self, home):
        content = home.authority.read_bytes() + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        found = home.write_trust(content)
        assert found.read_bytes() == content
        assert trust_variables(found, {}) == {"REQUESTS_CA_BUNDLE": str(found)}

    def test_programs_that_take_no_folder_get_a_file(self, place, home, tmp_path):
        bundle = str(place / BUNDLE)
        assert trust_variables(place, {})["AWS_CA_BUNDLE"] == bundle
        assert trust_variables(place, {"AWS_CA_BUNDLE": str(tmp_path / BUNDLE)})["AWS_CA_BUNDLE"] == bundle
        assert "AWS_CA_BUNDLE" not in trust_variables(place, {"AWS_CA_BUNDLE": "/etc/company.pem"})

    def test_after_a_loss_of_power_it_is_written_again(self, home):
        first = trusted_folder(home, {})
        next(first.iterdir()).write_bytes(b"")
        discard_trust(home)
        assert trusted_folder(home, {}) == first
        assert all(file.stat().st_size for file in first.iterdir())

    def test_what_a_kill_left_half_is_deleted(self, home):
        (home.tls / "trust-12.34-5").mkdir()
        (home.tls / "trust-12.34-5" / "12345678.0").touch()
        discard_unfinished(home)
        assert not (home.tls / "trust-12.34-5").exists()


def test_a_star_goes_on_excluding_all_hosts():
    assert without_proxy({"NO_PROXY": "a.test, *"}) == {"NO_PROXY": "*", "no_proxy": "*"}
    assert without_proxy({"no_proxy": "a.test, b.test"})["NO_PROXY"] == "a.test,b.test,127.0.0.1"
    assert os.environ.get("NO_PROXY") is None

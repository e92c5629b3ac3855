"""The certificate for https, signed by an authority of the service's own.

The authority's key is discarded after signing, so no second certificate that clients trust can be created.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from azureml_wrapper.local.faultpoints import wall_clock
from azureml_wrapper.local.home import Home, read_text, write_private

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder, KeyUsage, Name

# Before and after the start that makes it: a certificate outlives a clock that is set, in either direction.
LIFETIME = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)

log = logging.getLogger("azureml_wrapper.local")


def server_context(home: Home, now: datetime | None = None) -> ssl.SSLContext:
    """The service's TLS context.

    Creates the certificate at the first start, and a new one before it expires or if one of its files is damaged.
    """
    moment = now or datetime.fromtimestamp(wall_clock(), timezone.utc)
    # A longer time is left if the clock was set back.
    if not RENEW_BEFORE < _expires(home) - moment < 2 * LIFETIME - RENEW_BEFORE:
        _make(home, moment)
    try:
        return _load(home)
    except (OSError, ValueError) as error:
        log.warning("the certificate in %s is damaged (%s); creating a new one", home.tls, error)
        _make(home, moment)
        return _load(home)


def _load(home: Home) -> ssl.SSLContext:
    """Read the certificate as the server does, and check that clients which trust the authority accept it.

    Raises:
        OSError: A file is missing or not a certificate (`ssl.SSLError`).
        ValueError: The authority did not sign the certificate.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(home.tls / "server.pem")
    client.load_verify_locations(home.authority)
    fits(server, client)
    return server


def fits(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let both shake hands in memory; raise `ssl.SSLError` if the client does not accept the server."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue


def _expires(home: Home) -> datetime:
    try:
        found = datetime.fromisoformat(read_text(home.tls / "expires").strip())
    except ValueError:
        found = datetime.min
    return found if found.tzinfo else datetime.min.replace(tzinfo=timezone.utc)


def _make(home: Home, now: datetime) -> None:
    # Imported here, because it takes 0.1 s and only the first start needs it.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    def name(text: str) -> Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = name("azureml_wrapper local authority")
    root = (
        _validity(x509.CertificateBuilder(), now)
        .subject_name(issuer)
        .issuer_name(issuer)
        .public_key(authority.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), critical=False)
        .add_extension(_usage(sign=True), critical=True)
        .sign(authority, hashes.SHA256())
    )
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    leaf = (
        _validity(x509.CertificateBuilder(), now)
        .subject_name(name("azureml_wrapper local service"))
        .issuer_name(issuer)
        .public_key(server.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .add_extension(_usage(sign=False), critical=True)
        .sign(authority, hashes.SHA256())
    )
    key = server.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(home.tls / "server.pem", (key + leaf.public_bytes(Encoding.PEM)).decode())
    write_private(home.authority, root.public_bytes(Encoding.PEM).decode())
    write_private(home.tls / "expires", (now + LIFETIME).isoformat())


def _validity(builder: CertificateBuilder, now: datetime) -> CertificateBuilder:
    return builder.not_valid_before(now - LIFETIME).not_valid_after(now + LIFETIME)


def _usage(*, sign: bool) -> KeyUsage:
    from cryptography.x509 import KeyUsage

    return KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )

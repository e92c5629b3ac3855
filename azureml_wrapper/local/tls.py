"""The certificate for https, signed by an authority of the service's own.

The authority's key is discarded after signing, so no second certificate that clients trust can be created.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from azureml_wrapper.local.home import Home, write_private

if TYPE_CHECKING:
    from cryptography.x509 import CertificateBuilder, KeyUsage, Name

LIFETIME = timedelta(days=825)
RENEW_BEFORE = timedelta(days=30)


def server_context(home: Home, now: datetime | None = None) -> ssl.SSLContext:
    """The service's TLS context. Creates the certificate at the first start, and a new one before it expires."""
    moment = now or datetime.now(timezone.utc)
    pem = home.tls / "server.pem"
    if not pem.exists() or _expires(home) - moment < RENEW_BEFORE:
        _make(home, moment)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def _expires(home: Home) -> datetime:
    return datetime.fromisoformat((home.tls / "expires").read_text())


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
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + LIFETIME)


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

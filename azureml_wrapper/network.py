"""Proxies and trusted certificates as the environment names them, with the rules of requests.

The SDK sends its requests with requests. What the wrapper and the service send themselves goes over urllib3 alone,
which knows neither the login of a proxy, nor SOCKS, nor CURL_CA_BUNDLE.
"""

from __future__ import annotations

import os
import re
import urllib.request
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import urllib3

# requests/sessions.py, merge_environment_settings: the first one that is set.
TRUST_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
# Names of certificates in a folder that OpenSSL finds, made by `openssl rehash`.
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
# OpenSSL's three names for a certificate (PEM_STRING_X509 and its variants); bundles may also have keys and lists.
_CERTIFICATE = re.compile(rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----.*?-----END \1-----", re.DOTALL)
# Beside the hashed certificates of `write_folder`: all of them, for programs that take no folder.
BUNDLE = "azureml_wrapper.pem"
# boto3 reads REQUESTS_CA_BUNDLE if this is not set, but takes no folder (botocore/httpsession.py).
FILE_VARIABLE = "AWS_CA_BUNDLE"


class InvalidSetting(ValueError):
    """A variable of the environment names no usable proxy or certificates."""


def trusted(environment: Mapping[str, str]) -> Path:
    """The file or folder of trusted certificates.

    Raises:
        InvalidSetting: It does not exist, or it is a folder in which OpenSSL finds no certificate.
    """
    for name in TRUST_VARIABLES:
        given = environment.get(name)
        if not given:
            continue
        place = Path(given)
        if not place.exists():
            raise InvalidSetting(
                f"{name} must be a file or folder of trusted certificates, got {given!r}. Correct it, or unset it."
            )
        if place.is_dir() and not _in_folder(place):
            raise InvalidSetting(
                f"{name} is {given!r}, a folder without certificates that are named by their hash. Run "
                f"`openssl rehash {given}`."
            )
        return place
    return Path(certifi.where())


def certificates(place: Path) -> bytes:
    """The trusted certificates of a file, or those of a folder that OpenSSL finds, one after the other."""
    files = _in_folder(place) if place.is_dir() else [place]
    return b"\n".join(file.read_bytes() for file in files)


def split(content: bytes) -> list[bytes]:
    """The distinct certificates of a bundle, sorted, so that their order makes no difference."""
    return sorted({found[0] + b"\n" for found in _CERTIFICATE.finditer(content)})


def write_folder(folder: Path, found: Collection[bytes]) -> None:
    """Write certificates to a new folder, each under the hash by which OpenSSL looks for its subject.

    A connection then reads the one certificate that it needs (0.1 ms), not a hundred (15 to 50 ms).

    Raises:
        InvalidSetting: OpenSSL cannot read a certificate.
    """
    # Imported here, because it takes 0.1 s and only the first connection needs it.
    from OpenSSL import crypto

    folder.mkdir(mode=0o700)
    taken: Counter[str] = Counter()
    for certificate in found:
        try:
            subject = f"{crypto.load_certificate(crypto.FILETYPE_PEM, certificate).subject_name_hash():08x}"
        except (crypto.Error, ValueError) as error:
            raise InvalidSetting(f"OpenSSL cannot read a certificate: {error}") from error
        (folder / f"{subject}.{taken[subject]}").write_bytes(certificate)
        taken[subject] += 1
    (folder / BUNDLE).write_bytes(b"".join(found))


def trust_variables(place: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables with which programs trust the certificates of a file, or of a folder of `write_folder`."""
    found = {TRUST_VARIABLES[0]: str(place)}
    given = environment.get(FILE_VARIABLE)
    if place.is_dir() and (not given or Path(given).name == BUNDLE):
        found[FILE_VARIABLE] = str(place / BUNDLE)
    return found


def _in_folder(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _HASHED.fullmatch(file.name) and file.is_file())


def connections(address: str, **options: Any) -> Any:
    """Create urllib3's pool of connections to a host, through the proxy that the environment names for it.

    Args:
        address: An address on the host.
        options: Options of urllib3's PoolManager.

    Raises:
        InvalidSetting: The address of the proxy is invalid, or the certificates are missing.
    """
    place = trusted(os.environ)
    options |= {"ca_cert_dir" if place.is_dir() else "ca_certs": str(place)}
    # requests, which takes 0.1 s, is imported only if there are proxies.
    proxy = _proxy(address) if urllib.request.getproxies().keys() - {"no"} else None
    return _through(proxy, address, options) if proxy else urllib3.PoolManager(**options)


def _proxy(address: str) -> str | None:
    from requests.utils import get_environ_proxies, select_proxy

    found = select_proxy(address, get_environ_proxies(address))
    return f"http://{found}" if found and "://" not in found else found


def _through(proxy: str, address: str, options: Mapping[str, Any]) -> Any:
    from requests.adapters import HTTPAdapter

    parts = urlsplit(proxy)
    if parts.scheme.lower() not in SCHEMES or not parts.hostname:
        shown = re.sub(r"//[^/]*@", "//…@", proxy)
        raise InvalidSetting(
            f"{proxy_variable(address)} must be the address of a proxy, such as http://USER:PASSWORD@HOST:PORT, with "
            f"one of the schemes {', '.join(SCHEMES)}, got {shown!r}. Correct it, or unset it."
        )
    pools = {"num_pools": "pool_connections", "maxsize": "pool_maxsize", "block": "pool_block"}
    adapter = HTTPAdapter(**{pools[name]: value for name, value in options.items() if name in pools})
    return adapter.proxy_manager_for(proxy, **{name: value for name, value in options.items() if name not in pools})


def proxy_variable(address: str) -> str:
    """The variable that names the proxy for an address; ALL_PROXY holds for every kind of address."""
    scheme = urlsplit(address).scheme.lower()
    return f"{scheme.upper()}_PROXY" if scheme in urllib.request.getproxies() else "ALL_PROXY"


def is_refused_by_proxy(error: Exception) -> bool:
    """Whether a proxy has refused the login of a tunnel: http.client's "Tunnel connection failed: 407 …"."""
    return isinstance(error, urllib3.exceptions.ProxyError) and " 407 " in f"{error} "


# How urllib3 shows its connection before what broke: <…Connection object at 0x…>: or HTTPConnection(host=…, port=…):
_REPR = re.compile(r"^(.*>|\w+\(host=.*?\)): ")


def reason_of(error: Exception) -> str:
    """What broke, without the addresses and the reprs of objects that urllib3 puts into its messages."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, Exception):
        return reason_of(reason)
    cause = error.__cause__ or error.__context__ or error
    text = _REPR.sub("", str(reason or error)) or str(cause)
    return text.strip("()'\"") or type(error).__name__

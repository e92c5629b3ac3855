"""Secrets that the suite gives to every service it starts, and the search for them when all tests are over.

Some are in the shell of every service, program and job. Others are kept by a workspace of the wire tests: secrets of
its key vault, account keys and signatures of its datastores. None of them may lie in clear in any home.
"""

from __future__ import annotations

import base64
import subprocess
import zipfile
from pathlib import Path

SHELL = {
    name: form.format(f"Needle{number:02}OfTheShell")
    for number, (name, form) in enumerate(
        {
            "DATABASE_URL": "postgres://me:{}@db/prices",
            "GITHUB_PAT": "{}",
            "AWS_SECRET_ACCESS_KEY": "{}",
            "MY_API_KEY": "{}",
            "NPM_TOKEN": "{}",
            "SNOWFLAKE_PASSWORD": "{}",
            "TWINE_PASSWORD": "{}",
            "SENTRY_DSN": "https://{}@example.com/1",
            "SLACK_WEBHOOK": "https://example.com/{}",
            "STORAGE_CONNECTION": "AccountName=a;AccountKey={}",
        }.items()
    )
}
VAULT = {f"planted{number}": f"Needle{number:02}OfTheVault" for number in range(4)}
KEYS = [base64.b64encode(f"Needle{number:02}OfAnAccount".encode()).decode() for number in range(3)]
SIGNATURES = [f"Needle{number:02}OfASignature" for number in range(3)]
NEEDLES = (*(f"Needle{number:02}OfTheShell" for number in range(len(SHELL))), *VAULT.values(), *KEYS, *SIGNATURES)


def plant(ws) -> None:
    """Give secrets to a workspace."""
    from azureml.core import Datastore

    ws.get_default_keyvault().set_secrets(VAULT)
    for number, key in enumerate(KEYS):
        Datastore.register_azure_blob_container(
            ws, f"keyed{number}", "data", account_name=f"keyed{number}", account_key=key, overwrite=True
        )
    for number, signature in enumerate(SIGNATURES):
        token = f"sv=2020-01-01&sp=rl&sr=c&se=2099-01-01T00:00:00Z&sig={signature}"
        Datastore.register_azure_blob_container(
            ws, f"signed{number}", "data", account_name=f"signed{number}", sas_token=token, overwrite=True
        )


def search(folder: Path) -> list[str]:
    """The files that have one of the secrets, in the homes of services below a folder."""
    homes = _lines("find", str(folder), "-name", "state.sqlite", "-printf", "%h\\n")
    if not homes:
        return []
    # `find` and `grep` look at gigabytes in seconds. Homes that tests have deleted are not searched.
    found = _lines("grep", "-rlaF", *(f"-e{needle}" for needle in NEEDLES), "--", *homes)
    return sorted({*found, *filter(_has_needle, _lines("find", *homes, "-name", "*.zip", "-type", "f"))})


def _has_needle(archive: str) -> bool:
    """Whether a compressed file has a secret."""
    try:
        with zipfile.ZipFile(archive) as opened:
            contents = b"".join(opened.read(name) for name in opened.namelist())
    except (zipfile.BadZipFile, OSError):
        return False
    return any(needle.encode() in contents for needle in NEEDLES)


def _lines(*command: str) -> list[str]:
    # Some tests delete their homes meanwhile: both report that, and go on.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()

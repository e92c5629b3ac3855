"""What an export consists of, before anything is written; of a config and of a pipeline configuration file alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from azureml_wrapper.v2.export.notes import Note
from azureml_wrapper.v2.export.scripts import Script

# What `az ml` and `MLClient.from_config` read.
CONFIG = "config.json"


@dataclass(frozen=True, kw_only=True)
class Content:
    """`texts` are those of the files, `converted` says what of SDK v1 is what in SDK v2."""

    texts: Mapping[str, str]
    converted: tuple[tuple[str, str], ...]
    by_hand: tuple[Note, ...]
    taken: tuple[Note, ...]
    scripts: tuple[Script, ...]

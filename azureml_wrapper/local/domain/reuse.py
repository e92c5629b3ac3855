"""Reuse: what the outputs of a step depend on, and what has changed since an earlier run.

Azure's rule (learn.microsoft.com, "How to debug pipeline reuse issues"): code, environment, inputs and parameters,
output settings and run settings, including the compute, are all equal. Here, files count, too: Azure does not notice
that an input's file has changed in place (azureml/pipeline/core/builder.py, PipelineStep).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from azureml_wrapper.local.domain.workspaces import is_secret_name

JSON = dict[str, Any]

# With more files, only their number and digest are kept: a change is noticed, but not listed by name.
FILES_LISTED = 500
# The number of changes of one kind that are listed.
CHANGES_SHOWN = 5
TEXT_SHOWN = 60

FIRST_RUN = "first run of this step: none has completed before"
ALLOW_REUSE_OFF = "allow_reuse is off"
REGENERATE = "regenerate_outputs"

_SECRET_VALUE = re.compile(r"(sig|key|token|password|secret|signature)=", re.IGNORECASE)
# Names of common settings that only look like secrets: max_tokens, tokenizer.
_NO_SECRET = re.compile(r"tokens|tokeni[sz]\w*", re.IGNORECASE)
_NUMBER = re.compile(r"-[\d.]")
_SETTINGS = {"mode": "mode", "path_on_compute": "path on the compute", "variable": "environment variable"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that a step's outputs depend on. Equal recipes have equal keys.

    `code` is the content of the script folder, which `snapshot_id` names without being part of the key. `inputs` and
    `outputs` are by name; an input's `files` come from `files_of`, its `made_by` is the run that made it.
    """

    step: str
    snapshot_id: str | None
    code: str
    script: str
    arguments: list[str]
    parameters: JSON
    environment: JSON
    variables: JSON
    settings: JSON
    inputs: JSON
    outputs: JSON

    @property
    def content(self) -> JSON:
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @cached_property
    def key(self) -> str:
        content = self.content
        del content["snapshot_id"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def files_of(etags: Iterable[tuple[str, str]]) -> JSON:
    """Names and ETags of files, in order, as a recipe holds them. An ETag depends on size, time and file."""
    digest, listed, count = hashlib.sha256(), {}, 0
    for name, etag in etags:
        digest.update(f"{name}\0{etag}\n".encode())
        count += 1
        if count <= FILES_LISTED:
            listed[name] = etag
    return {"count": count, "digest": digest.hexdigest(), "listed": listed if count <= FILES_LISTED else None}


def outputs_problem(run_id: str, before: JSON, now: JSON) -> str | None:
    """Why the outputs of a run cannot be reused; None if they have not changed since."""
    for name, files in before.items():
        left = now.get(name) or files_of(())
        if left["digest"] == files["digest"]:
            continue
        deleted = left["count"] < files["count"] or set(files["listed"] or ()) - set(left["listed"] or ())
        told = ", ".join(_file_changes(files, left)[:CHANGES_SHOWN])
        return f"outputs of run {run_id} were {'deleted' if deleted else 'changed since'} ({name}: {told})"
    return None


def changes(before: Recipe, now: Recipe, code: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {})) -> list[str]:
    """The differences, a phrase for each part. `code` has the files of both script folders: path and hash."""
    found = [
        ("the script folder changed", _code_changes(*code) if before.code != now.code else []),
        ("the script changed", _pairs({"": before.script}, {"": now.script})),
        ("arguments changed", _argument_changes(before.arguments, now.arguments)),
        ("parameters changed", _pairs(before.parameters, now.parameters)),
        ("the environment changed", _leaf_changes(before.environment, now.environment)),
        ("environment variables changed", _pairs(before.variables, now.variables)),
        ("inputs changed", list(_setting_changes(before.inputs, now.inputs))),
        ("input data changed", list(_data_changes(before.inputs, now.inputs))),
        ("output settings changed", _pairs(flat(before.outputs), flat(now.outputs))),
        ("settings changed", _pairs(flat(before.settings), flat(now.settings))),
    ]
    return [_phrase(text, details) for text, details in found if details]


def flat(value: Any, label: str = "") -> dict[str, Any]:
    """The leaves of nested JSON by dotted labels. The strings and numbers of a list are one leaf, a tuple."""
    if isinstance(value, Mapping):
        return {key: leaf for name in value for key, leaf in flat(value[name], _dotted(label, name)).items()}
    if not isinstance(value, (list, tuple)):
        return {label: value}
    plain = tuple(item for item in value if not isinstance(item, (Mapping, list, tuple)))
    nested = [item for item in value if isinstance(item, (Mapping, list, tuple))]
    found: dict[str, Any] = {label: plain}
    for place, item in enumerate(nested):
        found.update(flat(item, label if len(nested) == 1 else f"{label}[{place}]"))
    return found


def labelled(arguments: Iterable[str]) -> dict[str, Any]:
    """Arguments by the option before them, without dashes; JSON objects by their own keys."""
    found: dict[str, Any] = {}
    option = ""
    for place, argument in enumerate(arguments, 1):
        if _is_option(argument):
            option = _free(argument.lstrip("-"), found)
            found[option] = "set"
            continue
        found.pop(option, None)
        found.update(flat(_json(argument), option or f"argument {place}"))
        option = ""
    return found


def _phrase(text: str, details: list[str]) -> str:
    more = f", and {len(details) - CHANGES_SHOWN} more" if len(details) > CHANGES_SHOWN else ""
    return f"{text} ({', '.join(details[:CHANGES_SHOWN])}{more})"


def _code_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return _named(before, now, new="{} is new", gone="{} is gone", changed="{}") or ["its files"]


def _file_changes(before: JSON, now: JSON) -> list[str]:
    if before["listed"] is None or now["listed"] is None:
        return [f"{before['count']} files → {now['count']} files"]
    return _named(before["listed"], now["listed"], new="file {} is new", gone="file {} is gone", changed="file {}")


def _named(before: Mapping[str, str], now: Mapping[str, str], *, new: str, gone: str, changed: str) -> list[str]:
    found = [changed.format(name) for name in now if name in before and before[name] != now[name]]
    found += [new.format(name) for name in now if name not in before]
    return found + [gone.format(name) for name in before if name not in now]


def _argument_changes(before: list[str], now: list[str]) -> list[str]:
    found = _pairs(labelled(before), labelled(now))
    return found or (["their order or form"] if before != now else [])


def _leaf_changes(before: JSON, now: JSON) -> list[str]:
    """As `_pairs`, but with only the last part of each label: paths in definitions are long."""
    return [_short(text) for text in _pairs(flat(before), flat(now))]


def _short(text: str) -> str:
    label, space, rest = text.partition(" ")
    return label.rpartition(".")[2] + space + rest


def _setting_changes(before: JSON, now: JSON) -> Iterator[str]:
    yield from (f"{name} is new" for name in now if name not in before)
    yield from (f"{name} is gone" for name in before if name not in now)
    for name, first, second in _both(before, now):
        for key, text in _SETTINGS.items():
            yield from _pairs({f"{name} {text}": first[key]}, {f"{name} {text}": second[key]})


def _data_changes(before: JSON, now: JSON) -> Iterator[str]:
    for name, first, second in _both(before, now):
        if first["made_by"] != second["made_by"]:
            yield f"{name} was made by {_maker(first)}, now by {_maker(second)}"
            continue
        label = f"{name}:"
        keys = [key for key in ("dataset", "datastore", "path") if first[key] != second[key]]
        for key in keys:
            yield f"{label} {key} {_shown(first[key])} → {_shown(second[key])}"
        if not keys and first["files"]["digest"] != second["files"]["digest"]:
            yield from (f"{label} {text}" for text in _file_changes(first["files"], second["files"]))


def _maker(data: JSON) -> str:
    return f"run {data['made_by']}" if data["made_by"] else "no step"


def _both(before: JSON, now: JSON) -> Iterator[tuple[str, JSON, JSON]]:
    return ((name, before[name], now[name]) for name in now if name in before)


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """`label old → new` for every label whose value differs."""
    every = dict.fromkeys([*before, *now])
    return [
        _change(label, before.get(label, ...), now.get(label, ...))
        for label in every
        if before.get(label, ...) != now.get(label, ...)
    ]


def _change(label: str, before: Any, now: Any) -> str:
    if is_secret_name(_NO_SECRET.sub("", label)) or any(_SECRET_VALUE.search(str(value)) for value in (before, now)):
        return f"{label} (not shown)"
    if isinstance(before, tuple) and isinstance(now, tuple):
        gone, new = [item for item in before if item not in now], [item for item in now if item not in before]
        before, now = ", ".join(map(str, gone)) or ..., ", ".join(map(str, new)) or ...
    return f"{label} {_shown(before)} → {_shown(now)}".strip()


def _shown(value: Any) -> str:
    if value is ... or value is None or value == "":
        return "nothing"
    text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"


def _dotted(label: str, name: object) -> str:
    return f"{label}.{name}" if label else str(name)


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and len(argument) > 1 and not _NUMBER.match(argument)


def _free(label: str, taken: Mapping[str, Any]) -> str:
    number, free = 2, label
    while free in taken:
        free, number = f"{label} #{number}", number + 1
    return free


def _json(argument: str) -> Any:
    """The object of an argument in JSON, else the argument itself."""
    if not argument.startswith("{"):
        return argument
    try:
        return json.loads(argument)
    except ValueError:
        return argument

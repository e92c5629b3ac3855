"""docs/v2-yaml.md, made from the readers' own tables: `python -m azureml_wrapper.v2.table --write FILE`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

from azureml_wrapper.v2 import (
    amlcompute,
    blob_datastore,
    command_job,
    environment_file,
    job_data,
    pipeline_job,
    sweep_job,
)
from azureml_wrapper.v2.yaml_keys import Key, Keys, Noted

INTRODUCTION = """\
# YAML of `az ml`, key by key

What `aml compute|datastore|environment|job create -f FILE` does with each key. SDK v1 creates and submits everything,
in Azure or on the local Azure ML (`--local`).

- **done**: it becomes what the last column says, in SDK v1's words.
- **noted**: SDK v1 cannot store it, so it is ignored, and the command says so.
- **refused**: the command exits with code 2, and names file, line and key.

Every key that is not listed is refused as unknown, with a list of similar keys. Keys marked `(needed)` are required.
All problems of a file are reported at once. This page is generated from the readers' own tables
(`python -m azureml_wrapper.v2.table`).

The supported types are `amlcompute` for computes, `azure_blob` for datastores, `command`, `pipeline` and `sweep` for
jobs, and `command` for the jobs of a pipeline; every other type is refused by name. The local Azure ML refuses the
sampling `bayesian` when the job is submitted.

References are `azureml:NAME:VERSION`, `azureml:NAME@latest` or `azureml:NAME`; an environment may also be in
Microsoft's registry (`azureml://registries/azureml/environments/NAME/labels/latest`). Other registries and labels are
refused. Bindings are `${{inputs.x}}`, `${{outputs.x}}` and, in a trial, `${{search_space.x}}`; in a pipeline's inputs
and outputs `${{parent.inputs.x}}`, `${{parent.outputs.x}}` and `${{parent.jobs.NAME.outputs.x}}`. Unknown ones
are refused. `--set path.to.key=VALUE` and `--name` override values of a file; paths are relative to the file.
"""

SECTIONS: Mapping[str, tuple[Keys, Mapping[str, Keys]]] = {
    "compute: `type: amlcompute`": (amlcompute.KEYS, amlcompute.NESTED),
    "datastore: `type: azure_blob`": (blob_datastore.KEYS, blob_datastore.NESTED),
    "environment": (environment_file.KEYS, {}),
    "environment within a job": (environment_file.INLINE, {}),
    "job: `type: command`": (command_job.KEYS, command_job.NESTED),
    "inputs.NAME of a job": (job_data.INPUT, {}),
    "outputs.NAME of a job": (job_data.OUTPUT, {}),
    "job: `type: pipeline`": (pipeline_job.KEYS, pipeline_job.NESTED),
    "job: `type: sweep`": (sweep_job.KEYS, sweep_job.NESTED),
}


def render() -> str:
    """The page."""
    return "\n".join([INTRODUCTION, *_sections()])


def rows(keys: Keys, nested: Mapping[str, Keys]) -> Iterator[tuple[str, str, str]]:
    """Key, done or noted or refused, and what becomes of it; keys within keys by their path."""
    for path, table in {"": keys, **nested}.items():
        for name, key in table.items():
            shown = f"{path}.{name}" if path else name
            if isinstance(key, Key):
                yield shown + (" (needed)" if key.needed else ""), "done", key.becomes
            else:
                yield shown, "noted" if isinstance(key, Noted) else "refused", key.why


def _sections() -> Iterator[str]:
    for title, (keys, nested) in SECTIONS.items():
        yield f"\n## {title}\n\n| key | | what becomes of it |\n| --- | --- | --- |"
        for name, word, text in rows(keys, nested):
            yield f"| {name} | {word} | {_cell(text)} |"
    yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Print the table, or write it to a file."""
    parser = argparse.ArgumentParser(prog="azureml_wrapper.v2.table", description=__doc__)
    parser.add_argument("--write", type=Path, help="the file to write; else it is printed")
    given = parser.parse_args()
    if given.write:
        given.write.write_text(render(), encoding="utf-8")
    else:
        print(render(), end="")


if __name__ == "__main__":
    main()

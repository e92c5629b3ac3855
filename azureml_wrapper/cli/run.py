"""`aml run`: run a pipeline from its config."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-e", "--experiment", required=True, help="The experiment that the run belongs to.")
@click.option(
    "-c",
    "--config",
    "ws_config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The workspace's config, for files that do not name one; else AML_CONFIG, or .azureml/config.json.",
)
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A value for a pipeline parameter.")
@click.option("--local", "locally", is_flag=True, help="Use the local Azure ML, whatever the config says.")
@click.option("--no-wait", is_flag=True, help="Submit, print the run's id, and leave.")
@click.option(
    "--target",
    type=click.Choice(["v1", "v2"]),
    default="v1",
    help="Which SDK submits it; v2 needs: pip install 'azureml_wrapper[v2]'.",
)
@click.option("--dry-run", is_flag=True, help="Build and check the pipeline; run nothing.")
def run(
    config: Path,
    experiment: str,
    *,
    ws_config: Path | None,
    given: tuple[str, ...],
    locally: bool,
    no_wait: bool,
    target: str,
    dry_run: bool,
) -> None:
    """Run the pipeline of CONFIG (.json or .yml), and show its steps until it ends.

    CONFIG may be a pipeline configuration file, too: docs/pipeline-files.md.
    """
    from azureml_wrapper.cli import pipelines

    pipeline = pipelines.load(config, locally, ws_config)
    values = pipelines.parse_values(given)
    if target == "v2":
        pipelines.run_v2(pipeline, experiment, values, wait=not no_wait, dry_run=dry_run)
        return
    if dry_run:
        pipelines.check(pipeline, values)
        return
    submitted = pipelines.submit(pipeline, experiment, values)
    if not no_wait:
        pipelines.watch(submitted, pipeline.retries)

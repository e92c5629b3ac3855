"""Homes of earlier versions, opened with today's code: everything that was in them is there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import tarfile
import textwrap
from contextlib import closing

import pytest
from azureml.core import Dataset, Environment, Experiment, Model, Run
from azureml.pipeline.core import PipelineEndpoint, PipelineRun, PublishedPipeline, Schedule
from azureml.train.hyperdrive import HyperDriveRun

from azureml_wrapper import local
from azureml_wrapper.local.store.database import columns
from azureml_wrapper.local.store.migrations import migrate
from tests.homes import ARCHIVES

pytestmark = [pytest.mark.local_only, pytest.mark.usefixtures("cold")]

VERSIONS = sorted(ARCHIVES.glob("*.tar.gz"))


def unpacked(archive, folder):
    """A home that tests/homes/fill.py filled with an earlier version's code."""
    with tarfile.open(archive) as packed:
        # Python before 3.11.4 has no `filter=`; the archives are our own.
        packed.extractall(folder)  # noqa: S202
    return folder


def with_more(folder):
    """The same home with one more field in each JSON object, and one more column in each table.

    A later version that has the same version of the database may have written it.
    """
    with closing(sqlite3.connect(folder / "state.sqlite", isolation_level=None)) as database:
        migrate(database, str(folder / "state.sqlite"))
        for table, names in columns(database).items():
            database.execute(f'ALTER TABLE "{table}" ADD COLUMN later TEXT')
            for name in names & {"body", "recipe"}:
                sql = f"""UPDATE "{table}" SET {name} = json_set({name}, '$.later', 'x') WHERE {name} IS NOT NULL"""  # noqa: S608
                database.execute(sql)
    return folder


HOMES = [*((archive.name, archive, None) for archive in VERSIONS), ("more", VERSIONS[-1], with_more)]


@pytest.fixture(scope="module", params=HOMES, ids=lambda home: home[0])
def old(request, tmp_path_factory):
    """The workspace of such a home, on a service that runs."""
    _, archive, change = request.param
    folder = unpacked(archive, tmp_path_factory.mktemp("home"))
    with local.service(change(folder) if change else folder):
        yield local.workspace()


def only(experiment: Experiment, **kinds) -> Run:
    (run,) = experiment.get_runs(**kinds)
    return run


def content(run: Run, name: str, folder) -> str:
    run.download_file(name, str(folder / "content"))
    return (folder / "content").read_text()


def test_interactive_runs_have_their_metrics_tags_and_files(old, tmp_path):
    run = only(Experiment(old, "notebook"))
    assert (run.get_status(), run.display_name) == ("Completed", "by hand")
    metrics = run.get_metrics()
    assert metrics["loss"] == [1.0, 0.5, 0.25]
    assert metrics["scores"] == {"precision": 0.5, "recall": 0.75}
    assert run.get_tags() == {"by": "hand"}
    assert run.get_properties()["author"] == "user"
    assert content(run, "outputs/note.txt", tmp_path) == "kept"
    (child,) = run.get_children()
    assert child.get_metrics() == {"depth": 1}


def test_script_runs_have_their_definitions_errors_and_logs(old, tmp_path):
    failed, trained = Experiment(old, "scripts").get_runs()
    assert (failed.get_status(), trained.get_status()) == ("Failed", "Completed")
    details = trained.get_details()
    assert details["runDefinition"]["script"] == "train.py"
    assert details["runDefinition"]["arguments"] == ["outputs"]
    assert "no such column: price" in failed.get_details()["error"]["error"]["message"]
    assert "trained" in content(trained, "user_logs/std_log.txt", tmp_path)
    assert content(trained, "outputs/model.txt", tmp_path) == "weights"
    trained.restore_snapshot(path=str(tmp_path))


def test_pipeline_runs_have_their_steps(old):
    second, first = Experiment(old, "pipeline").get_runs()
    steps = {step.name: step for step in PipelineRun(first.experiment, first.id).get_steps()}
    assert set(steps) == {"train", "score"}
    assert steps["train"].get_metrics() == {"loss": 0.25}
    assert steps["train"].get_details()["runDefinition"]["environmentVariables"]["AML_PARAMETER_rate"] == "0.1"
    reused = [step.get_properties() for step in PipelineRun(second.experiment, second.id).get_steps()]
    assert all("azureml.reusedrunid" in properties for properties in reused)


def test_a_sweep_has_its_runs(old):
    sweep = only(Experiment(old, "sweep"))
    assert isinstance(sweep, HyperDriveRun)
    assert sweep.get_best_run_by_primary_metric().get_metrics() == {"loss": 0.1}
    assert {child.get_details()["runDefinition"]["arguments"][-1] for child in sweep.get_children()} == {"0.1", "0.2"}


def test_assets_are_registered(old):
    assert old.compute_targets["cluster"].provisioning_state == "Succeeded"
    assert Environment.get(old, "plain").python.user_managed_dependencies
    assert [model.version for model in Model.list(old, "classifier")] == [2, 1]
    assert Model(old, "classifier", version=1).tags == {"stage": "test"}
    assert Dataset.get_by_name(old, "prices").tags == {"source": "survey"}
    assert old.get_default_keyvault().get_secret("password") == "tops3cret"


@pytest.mark.parametrize("archive", VERSIONS, ids=lambda archive: archive.name)
def test_datasets_are_read(archive, tmp_path):
    """In a process of its own: rslex remembers by a workspace's name where its datastores are."""
    program = """
        import sys
        from azureml.core import Dataset
        from azureml_wrapper import local
        with local.service(sys.argv[1]):
            print(Dataset.get_by_name(local.workspace(), "prices").to_pandas_dataframe().to_csv(index=False))
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(unpacked(archive, tmp_path))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stdout.split()[-3:] == ["city,price", "Paris,3", "Lyon,2"]


def test_what_was_published_and_scheduled_runs_on(old):
    (published,) = PublishedPipeline.list(old)
    assert (published.name, published.version) == ("nightly", "1.0")
    endpoint = PipelineEndpoint.get(old, name="front")
    assert endpoint.get_pipeline().id == published.id
    (schedule,) = Schedule.list(old)
    assert (schedule.name, schedule.pipeline_id) == ("at night", published.id)
    run = published.submit(old, "again", pipeline_parameters={"rate": 0.5})
    assert run.wait_for_completion(show_output=False, timeout_seconds=120) == "Finished"

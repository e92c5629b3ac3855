"""Datasets inside a job, whose process has a run's token and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from azureml.core import Dataset, Experiment

pytestmark = [pytest.mark.slow, pytest.mark.local_only]

JOB = """
import sys
from azureml.core import Dataset, Run
run = Run.get_context(allow_offline=False)
ws = run.experiment.workspace
print("rows", len(Dataset.get_by_name(ws, sys.argv[1]).to_pandas_dataframe()))
files = Dataset.get_by_id(ws, sys.argv[2])
print("files", len(files.download(sys.argv[3])))
"""


@pytest.fixture
def job_environment(ws, unique):
    """The variables of a job that has a run token and nothing else."""
    from azureml_wrapper.local.home import Home
    from azureml_wrapper.local.tokens import Tokens

    run = Experiment(ws, unique("exp")).start_logging(snapshot_directory=None)
    home = Home()
    info = home.read_service()
    base = f"http://127.0.0.1:{info.port}"
    details = ws.get_details()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    yield {
        **kept,
        "HOME": str(home.path / "job"),
        "HBI_WORKSPACE_JOB": "true",
        "REQUESTS_CA_BUNDLE": os.environ["REQUESTS_CA_BUNDLE"],
        "AZUREML_ARM_SUBSCRIPTION": ws.subscription_id,
        "AZUREML_ARM_RESOURCEGROUP": ws.resource_group,
        "AZUREML_ARM_WORKSPACE_NAME": ws.name,
        "AZUREML_ARM_PROJECT_NAME": run.experiment.name,
        "AZUREML_EXPERIMENT_ID": run.experiment.id,
        "AZUREML_WORKSPACE_ID": details["workspaceid"],
        "AZUREML_RUN_ID": run.id,
        "AZUREML_RUN_TOKEN": Tokens(info.secret).run(details["workspaceid"], run.id),
        "AZUREML_RUN_TOKEN_EXPIRY": "2099-01-01T00:00:00Z",
        "AZUREML_SERVICE_ENDPOINT": base,
        "AZUREML_RUN_HISTORY_SERVICE_ENDPOINT": base,
        "AZUREML_DISCOVERY_SERVICE_ENDPOINT": ws.discovery_url,
    }
    run.complete()


def test_a_job_reads_datasets_with_its_run_token_alone(ws, unique, tmp_path, job_environment):
    store, folder, name = ws.get_default_datastore(), unique("data"), unique("data")
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "é.csv").write_text("a,b\n1,x\n2,y\n")
    store.upload(str(tmp_path / "up"), folder, show_progress=False)
    Dataset.Tabular.from_delimited_files((store, folder)).register(ws, name)
    files = Dataset.File.from_files((store, folder))._ensure_saved(ws)
    done = subprocess.run(
        [sys.executable, "-c", JOB, name, files, str(tmp_path / "down")],
        env=job_environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rows 2" in done.stdout
    assert "files 1" in done.stdout

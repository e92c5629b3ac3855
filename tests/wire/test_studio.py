"""The page: its addresses are the SDK's, its content is the workspace's."""

from __future__ import annotations

import os
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from azureml.core import Environment, Experiment, ScriptRunConfig
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.conda_dependencies import CondaDependencies

pytestmark = pytest.mark.local_only


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory):
    """The SDK makes the folders `outputs` and `logs` where it runs."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)


def get(address):
    return requests.get(address, timeout=30)


@pytest.fixture(scope="module")
def run(ws):
    """A run that is over, with metrics, a file and an image."""
    run = Experiment(ws, "studio-test").start_logging(snapshot_directory=None)
    run.log("accuracy", 0.875)
    run.log_list("loss", [3.0, 2.0, 1.5])
    run.tag("stage", "<b>bold</b>")
    run.complete()
    return run


@pytest.fixture(scope="module")
def page(run):
    return get(run.get_portal_url())


def test_the_portal_url_of_a_run_is_a_page_of_the_local_service(run, page):
    parts = urlsplit(run.get_portal_url())
    assert parts.hostname == "127.0.0.1"
    assert f"/runs/{run.id}" in parts.path
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


def test_the_page_shows_id_status_experiment_and_times(run, page):
    for text in (run.id, "Completed", "studio-test", "UTC"):
        assert text in page.text


def test_the_page_shows_the_metrics(page):
    assert "accuracy" in page.text
    assert "0.875" in page.text
    assert "<polyline points=" in page.text


def test_what_a_user_wrote_is_text_and_not_markup(page):
    assert "<b>bold</b>" not in page.text
    assert "<b>bold</b>" in unescape(page.text)


def test_the_page_may_load_and_send_nothing(page):
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "<script" not in page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not [part for part in page.text.split('"') if part.startswith(("http:", "https:", "//"))]


def test_a_page_of_a_finished_run_stands_still_and_one_of_a_running_run_reloads(ws, page):
    running = Experiment(ws, "studio-test").start_logging(snapshot_directory=None)
    assert 'http-equiv="refresh"' in get(running.get_portal_url()).text
    running.complete()
    assert 'http-equiv="refresh"' not in get(running.get_portal_url()).text
    assert 'http-equiv="refresh"' not in page.text


def test_the_page_of_a_job_names_a_python_that_it_did_not_get(ws, tmp_path):
    """Python 3.5 is requested; no machine of ours has it."""
    name = "studio-cpu"
    if name not in ws.compute_targets:
        ComputeTarget.create(ws, name, AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1))
    (tmp_path / "main.py").write_text("print(1)")
    environment = Environment("old")
    environment.python.conda_dependencies = CondaDependencies.create(
        python_version="3.5", pin_sdk_version=False, pip_packages=[]
    )
    config = ScriptRunConfig(str(tmp_path), "main.py", compute_target=name, environment=environment)
    run = Experiment(ws, "studio-test").submit(config)
    run.wait_for_completion(show_output=False)
    shown = get(run.get_portal_url()).text.partition("Differences from Azure")[2].partition("</section>")[0]
    assert "Python 3.5 is requested, 3." in unescape(shown)


def test_children_are_shown_with_links_to_their_pages(ws):
    parent = Experiment(ws, "studio-test").start_logging(snapshot_directory=None)
    child = parent.child_run("part one")
    child.fail("it broke", error_code="Broken")
    parent.complete()
    text = get(parent.get_portal_url()).text
    assert "part one" in text
    assert "<rect" in text
    assert "it broke" in text
    shown = get(child.get_portal_url()).text
    assert "it broke" in shown
    assert parent.id in shown


def test_files_are_listed_and_served_but_may_run_nothing(run, tmp_path):
    (tmp_path / "report.html").write_text("<script>alert(1)</script>")
    run.upload_file("outputs/report.html", str(tmp_path / "report.html"))
    page = get(run.get_portal_url()).text
    link = next(part for part in page.split('"') if "/files/outputs/report.html" in part)
    base = run.get_portal_url().split("/studio/")[0]
    file = get(base + unescape(link))
    assert file.text == "<script>alert(1)</script>"
    assert "sandbox" in file.headers["content-security-policy"]
    assert file.headers["x-content-type-options"] == "nosniff"
    assert get((base + unescape(link)).replace("report.html", "none.html")).status_code == 404


@pytest.mark.parametrize("name", ["..%2F..%2F..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "../../../secret", "a%00b"])
def test_no_name_of_a_file_leads_out_of_the_run(run, name):
    address = run.get_portal_url().replace("?", f"/files/{name}?")
    session = requests.Session()
    prepared = session.prepare_request(requests.Request("GET", "http://x/"))
    prepared.url = address
    answer = session.send(prepared, timeout=30)
    assert answer.status_code in (400, 404)


def test_the_log_is_shown_from_its_end(ws, tmp_path):
    run = Experiment(ws, "studio-test").start_logging(snapshot_directory=None)
    (tmp_path / "log").write_bytes(b"first line\n" + b"x" * 100_000 + b"\nlast line \xff\n")
    run.upload_file("user_logs/std_log.txt", str(tmp_path / "log"))
    run.complete()
    text = get(run.get_portal_url()).text
    assert "last line" in text
    assert "first line" not in text
    assert "bytes are omitted" in text


def test_the_portal_url_of_an_experiment_lists_its_runs(ws, run):
    experiment = Experiment(ws, "studio-test")
    page = get(experiment.get_portal_url())
    assert page.status_code == 200
    assert run.id in page.text


def test_the_pages_of_the_workspace_list_its_runs(run):
    address = run.get_portal_url()
    for other in (address.replace(f"/runs/{run.id}", "/runs"), address.replace(f"/runs/{run.id}", "")):
        page = get(other)
        assert page.status_code == 200
        assert run.id in page.text


@pytest.mark.parametrize(
    "change",
    [
        lambda address, run: address.replace(run.id, "no-such-run"),
        lambda address, run: address.replace(f"/runs/{run.id}", "/experiments/id/none"),
        lambda address, run: address.replace(f"/runs/{run.id}", "/nothing/here"),
        lambda address, run: address.split("workspaces/")[0] + "workspaces/none",
    ],
)
def test_what_does_not_exist_is_a_page_too(run, change):
    page = get(change(run.get_portal_url(), run))
    assert page.status_code == 404
    assert "Not found" in page.text
    assert page.headers["content-type"].startswith("text/html")


def test_an_address_with_another_key_shows_nothing(run):
    key = run.get_portal_url().split("/studio/")[1].split("/")[0]
    page = get(run.get_portal_url().replace(key, key[::-1]))
    assert page.status_code == 401
    assert run.id not in page.text
    assert get(run.get_portal_url().replace(key, "é")).status_code == 401


def test_addresses_with_a_key_reach_no_other_site_and_no_cache(run, page):
    run.upload_file("outputs/a.txt", __file__)
    file = page.url.replace(f"/runs/{run.id}", f"/runs/{run.id}/files/outputs/a.txt")
    signed = run._client.artifacts.get_file_uri("ExperimentRun", run._container, "outputs/a.txt")
    for answer in (page, get(file), get(signed)):
        assert answer.status_code == 200, answer.url
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    # A client of the storage would take the header for a property of the blob.
    asked = requests.get(signed, headers={"x-ms-version": "2020-10-02"}, timeout=30)
    assert "cache-control" not in asked.headers

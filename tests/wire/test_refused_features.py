"""Features of Azure ML that the local service lacks: it says which, and what to do instead."""

from __future__ import annotations

import warnings

import pytest
from azureml.core import Environment, Experiment, RunConfiguration, Webservice
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.environment import RSection
from azureml.core.model import InferenceConfig, Model
from azureml.core.webservice import AciWebservice
from azureml.exceptions import WebserviceException
from azureml.pipeline.core import Pipeline, PipelineDraft
from azureml.pipeline.core._restclients.aeva.models import ErrorResponseException
from azureml.pipeline.steps import PythonScriptStep, RScriptStep

pytestmark = [pytest.mark.local_only, pytest.mark.filterwarnings("ignore::FutureWarning")]

NO_SERVICES = "Deployment of models .* is not supported by the local service, which runs no web services"


@pytest.fixture(scope="module")
def cluster(ws):
    return ComputeTarget.create(ws, "refusing", AmlCompute.provisioning_configuration("Standard_D2_v2", max_nodes=1))


@pytest.fixture
def inference(tmp_path):
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return data\n")
    return InferenceConfig("score.py", source_directory=str(tmp_path), environment=Environment("score"))


def test_web_services_are_refused(ws, unique, inference, tmp_path):
    (tmp_path / "model.txt").write_text("model")
    model = Model.register(ws, str(tmp_path / "model.txt"), unique("model"))
    with pytest.raises(WebserviceException, match=rf"{NO_SERVICES}.*Register the model here, score with a job"):
        Model.deploy(ws, "service", [model], inference, AciWebservice.deploy_configuration(1, 1))
    for call in (
        lambda: ws.webservices,
        lambda: Webservice(ws, "service"),
        lambda: ws.images,
        lambda: Model.package(ws, [model], inference),
    ):
        with pytest.raises(WebserviceException, match=NO_SERVICES):
            call()


def test_pipeline_drafts_are_refused(ws, cluster, tmp_path):
    (tmp_path / "main.py").write_text("")
    step = PythonScriptStep("main.py", compute_target=cluster, source_directory=str(tmp_path))
    words = r"Pipeline drafts \(PipelineDraft\) are not supported by the local service. Submit the pipeline"
    with pytest.raises(ErrorResponseException, match=words):
        PipelineDraft.create(ws, Pipeline(ws, [step]), name="draft", experiment_name="drafts")
    for call in (lambda: PipelineDraft.list(ws), lambda: PipelineDraft.get(ws, id="x")):
        with pytest.raises(ErrorResponseException, match=words):
            call()


def test_a_step_of_another_type_is_refused_with_what_it_needs(ws, cluster, tmp_path):
    (tmp_path / "main.R").write_text("")
    config = RunConfiguration()
    config.environment.r = RSection()
    config.environment.docker.enabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = RScriptStep("main.R", "r", compute_target=cluster, runconfig=config, source_directory=str(tmp_path))
    with pytest.raises(
        ErrorResponseException, match=r"Step 'r' has the type RScriptStep, which needs R: .*HyperDriveStep"
    ):
        Experiment(ws, "refused").submit(Pipeline(ws, [step]))

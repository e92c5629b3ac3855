"""A program for the Azure ML SDK v1 that does not use azureml_wrapper.

In this folder, `aml local exec -- python pipeline.py` runs it on the local Azure ML.
"""

from azureml.core import Dataset, Environment, Experiment, RunConfiguration, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.data import OutputFileDatasetConfig
from azureml.pipeline.core import Pipeline
from azureml.pipeline.steps import PythonScriptStep

ws = Workspace.from_config()
store = ws.get_default_datastore()
store.upload_files(["../quickstart/data/penguins.csv"], target_path="penguins", overwrite=True, show_progress=False)
penguins = Dataset.Tabular.from_delimited_files(store.path("penguins/penguins.csv"))

size = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=2)
cluster = ComputeTarget.create(ws, "cluster", size)
cluster.wait_for_completion()

configuration = RunConfiguration()
configuration.environment = Environment.from_pip_requirements("penguins", "requirements.txt")
means = OutputFileDatasetConfig("means")
summarize = PythonScriptStep(
    "summarize.py",
    name="summarize",
    source_directory="steps",
    arguments=["--to", means],
    inputs=[penguins.as_named_input("penguins")],
    compute_target=cluster,
    runconfig=configuration,
    allow_reuse=False,
)
rank = PythonScriptStep(
    "rank.py",
    name="rank",
    source_directory="steps",
    arguments=["--from", means.as_input()],
    compute_target=cluster,
    runconfig=configuration,
    allow_reuse=False,
)

run = Experiment(ws, "penguins").submit(Pipeline(ws, [rank]))
run.wait_for_completion(show_output=False)
(step,) = run.find_step_run("rank")
print(run.get_status(), step.get_metrics())

"""Examples 2 to 6 of the first version's README as one program; example 1 is scripts/step_script.py."""

from __future__ import annotations

from pathlib import Path

from azureml_wrapper import PipelineStep, PipelineWrapper, RunWrapper, WorkspaceWrapper

HERE = Path(__file__).resolve().parent
SCRIPTS = str(HERE / "scripts")
WORKSPACE = ("tutorial", "examples", "local")

STEP_CONFIG = {
    "lr": 2e-5,
    "epochs": 10,
    "batch_size": 16,
    "new_dataset_name": "penguins_2009",
    "test_dataset_name": "penguins_2008",
}
INPUT_DATASETS = {"--new-data": "penguins_2009", "--test-data": "penguins_2008"}
PREPARE_CONFIG = {"train_dataset_name": "penguins_2007"}
PREPARE_DATASETS = {"--train-data": "penguins_2007"}


def set_up() -> None:
    """Register what the pipelines need."""
    workspace = WorkspaceWrapper(*WORKSPACE)
    workspace.register_env("test-env", ["pandas"])
    for year in (2007, 2008, 2009):
        name = f"penguins_{year}"
        workspace.register_csv("workspaceblobstore", name, source=HERE / "data" / f"{name}.csv")
    workspace.register_compute("test-compute001")


def example_2() -> PipelineStep:
    """Create a step."""
    return PipelineStep(*WORKSPACE, "step name", "step_script.py", STEP_CONFIG, INPUT_DATASETS, SCRIPTS)


def example_3() -> PipelineStep:
    """Create the same step from a config."""
    config = {
        "ws_name": "tutorial",
        "resource_group": "examples",
        "subscription_id": "local",
        "step_name": "step name",
        "script_name": "step_script.py",
        "step_config": STEP_CONFIG,
        "input_datasets": INPUT_DATASETS,
        "script_directory": SCRIPTS,
    }
    return PipelineStep.from_config(config)


def example_4(step: PipelineStep) -> PipelineWrapper:
    """Create a pipeline of three steps, which run in this order."""
    first = PipelineStep(*WORKSPACE, "prepare", "prepare_script.py", PREPARE_CONFIG, PREPARE_DATASETS, SCRIPTS)
    last = PipelineStep(*WORKSPACE, "report", "report_script.py", script_directory=SCRIPTS)
    return PipelineWrapper(*WORKSPACE, "test-env", "test-compute001", [first, step, last])


def example_5() -> PipelineWrapper:
    """Create the same pipeline from one config."""
    config = {
        "ws_name": "tutorial",
        "resource_group": "examples",
        "subscription_id": "local",
        "env_name": "test-env",
        "compute_name": "test-compute001",
        "steps": {
            "step1": {
                "step_name": "prepare",
                "script_name": "prepare_script.py",
                "step_config": PREPARE_CONFIG,
                "input_datasets": PREPARE_DATASETS,
                "script_directory": SCRIPTS,
            },
            "step2": {
                "step_name": "step name",
                "script_name": "step_script.py",
                "step_config": STEP_CONFIG,
                "input_datasets": INPUT_DATASETS,
                "script_directory": SCRIPTS,
            },
            "step3": {"step_name": "report", "script_name": "report_script.py", "script_directory": SCRIPTS},
        },
    }
    return PipelineWrapper.from_config(config)


def example_6(pipeline: PipelineWrapper) -> RunWrapper:
    """Run the pipeline."""
    return pipeline.run("tutorial")


if __name__ == "__main__":
    set_up()
    for pipeline in (example_4(example_2()), example_4(example_3()), example_5()):
        run = example_6(pipeline)
        print(run.id, run.status, run.steps["step name"].metrics)

"""Run the training pipeline, and print the output of two of its steps."""

from azureml_wrapper import TrainPipeline

orchestrator = TrainPipeline("pipeline_config.json")
orchestrator.construct_pipeline()
run = orchestrator.run_pipeline(experiment_name="DEV-train-pipeline", tags={"kind": "dev"})

run.wait()
for name, step in run.steps.items():
    print(f"{name}: {step.status}")
print(run.logs("train"))
print(run.logs("report"))

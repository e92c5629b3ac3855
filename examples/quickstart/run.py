"""Which penguin is it? Three steps on the local Azure ML: prepare, train, evaluate.

The same config and scripts run in Azure: put your subscription, resource group and workspace in config.json.
"""

from __future__ import annotations

from pathlib import Path

from azureml_wrapper import PipelineWrapper, RunWrapper, WorkspaceWrapper

HERE = Path(__file__).resolve().parent
CONFIG = HERE / "config.json"
RESULTS = HERE / "results"


def set_up() -> None:
    """Register what the pipeline needs; what is already registered is left alone."""
    workspace = WorkspaceWrapper("quickstart", "examples", "local")
    workspace.register_env("quickstart", ["pandas", "numpy"])
    workspace.register_csv("workspaceblobstore", "penguins", source=HERE / "data" / "penguins.csv")
    workspace.register_compute("cpu-cluster")


def report(run: RunWrapper) -> None:
    folder = run.download(RESULTS)
    print(f"\nRun {run.id}: {run.status}")
    for name, step in run.steps.items():
        word = "reused" if step.reused_from else step.status
        print(f"  {name:<10} {word:<10} {step.duration:6.1f} s")
    print("\nMetrics")
    for step in run.steps.values():
        for name, value in step.metrics.items():
            print(f"  {name:<20} {show(value)}")
    print(f"\nPage: {run.portal_url}")
    print(f"Outputs and logs: {folder.resolve()}")


def show(value: object) -> str:
    """Return a number with four digits; for a list, the first and the last."""
    if isinstance(value, list):
        return f"{show(value[0])} … {show(value[-1])} ({len(value)} values)"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    set_up()
    report(PipelineWrapper.from_config(CONFIG).run("penguins"))

"""What replaces each call of SDK v1 in a script: mlflow and mltable, with which SDK v2 logs and reads.

Source: "Upgrade to v2" in Azure ML's documentation, its pages on logging (how-to-log-view-metrics) and on data
(migrate-to-v2-assets-data).
"""

from __future__ import annotations

import re

RUN = r"(Run\.get_context\(\)|ScriptWrapper\(\)\.run|Run\(\))"
KEEPS = "works as it is if azureml-core and this library are in the environment; else "
_ACTIVE = "nothing: in a job, mlflow is connected to its run already"
_CLIENT = "`azure.ai.ml.MLClient`"

# The first one that matches the end of a dotted name counts.
_RULES = tuple(
    (re.compile(rf"{pattern}(\(\))?$"), text)
    for pattern, text in (
        (rf"{RUN}\.parent\.log(_\w+)?", "`mlflow.MlflowClient().log_metric(parent_run_id, name, value)`"),
        (rf"{RUN}\.log", "`mlflow.log_metric(name, value)`"),
        (rf"{RUN}\.log_list", "`mlflow.log_metric(name, value, step=i)` for each value"),
        (rf"{RUN}\.log_row", "`mlflow.log_metrics({column: value, …}, step=i)`"),
        (rf"{RUN}\.log_table", "`mlflow.log_table(data, name)`, or `mlflow.log_dict(data, name)`"),
        (
            rf"{RUN}\.log_image",
            "`mlflow.log_figure(figure, name)`, `mlflow.log_image(array, name)`, or for a file "
            "`mlflow.log_artifact(path)`",
        ),
        (rf"{RUN}\.log_\w+", "`mlflow.log_dict(values, name)`"),
        (rf"{RUN}\.(upload_files?|upload_folder)", "`mlflow.log_artifact(path)`, `mlflow.log_artifacts(folder)`"),
        (rf"{RUN}\.(tag|set_tags)", "`mlflow.set_tag(name, value)`"),
        (rf"{RUN}\.(get_metrics|get_tags|get_properties|properties|get_details)", "`mlflow.get_run(run_id)`"),
        (rf"{RUN}\.(add_properties)", "`mlflow.set_tag(name, value)`: SDK v2's runs have no properties of a user's"),
        (
            rf"{RUN}\.(complete|fail|cancel|start|flush|wait_for_completion)",
            "nothing: the job's state follows from how the script ends",
        ),
        (rf"{RUN}\.(id|name|number)", "`mlflow.active_run().info.run_id`, or the variable `MLFLOW_RUN_ID`"),
        (rf"{RUN}\.get_secret(s)?", "`azure.keyvault.secrets.SecretClient(url, credential).get_secret(name)`"),
        (rf"{RUN}\.register_model", "`mlflow.register_model(uri, name)`"),
        (
            rf"{RUN}\.input_datasets(\[\])?\.to_pandas_dataframe",
            "`mltable.load(path).to_pandas_dataframe()`, where `path` is the argument that holds the input",
        ),
        (
            rf"{RUN}\.input_datasets(\[\]|\.\w+)*",
            "the argument that holds the input's path; for a table `mltable.load(path).to_pandas_dataframe()`",
        ),
        (rf"{RUN}\.output_datasets(\[\]|\.\w+)*", "the argument that holds the output's path"),
        (rf"{RUN}\.experiment\.workspace(\..*)?", f"{_CLIENT}, made of the variables AZUREML_ARM_…"),
        (rf"{RUN}\.experiment(\..*)?", "`mlflow.get_experiment(…)`"),
        (rf"{RUN}\.parent(\..*)?", "`mlflow.get_parent_run(run_id)`"),
        (rf"{RUN}\.\w+.*", "the method of the same purpose of `mlflow.MlflowClient()`"),
        (RUN, _ACTIVE),
        (r"Run(\..*)?", "`mlflow.get_run(run_id)`"),
        (
            r"ScriptWrapper\(\)\.get_csv_from_config",
            "`mltable.load(path).to_pandas_dataframe()` for a table, "
            "`pandas.read_csv(path)` for a file, where `path` is the argument that holds the input",
        ),
        (
            r"ScriptWrapper\(\)\.get_csv_from_input_folder",
            KEEPS + "`pandas.read_csv(Path(args.input_folder) / name)`",
        ),
        (r"ScriptWrapper\(\)\.save_csv_in_output_folder", KEEPS + "`table.to_csv(Path(args.output_folder) / name)`"),
        (r"ScriptWrapper\(\)\.(input_folder|output_folder|args)(\..*)?", KEEPS + "`argparse`"),
        (r"ScriptWrapper\(\)\.(config|get_config\(\)|get_config)(\..*|\[\])?", KEEPS + "`json.loads(args.config)`"),
        (r"ScriptWrapper\(\)\.complete", "nothing: the job's state follows from how the script ends"),
        (r"ScriptWrapper(\(\))?", KEEPS + "`argparse`, with `--config` as JSON"),
        (
            r"Dataset\.get_by_(name|id)(\(\).*)?",
            "an input of the job (`azureml:NAME@latest`), and its path as argument",
        ),
        (r"Dataset(\..*)?", "`mltable` for tables; for files the path of an input"),
        (r"Datastore(\..*)?", "an input or an output `azureml://datastores/NAME/paths/PATH`"),
        (r"Workspace(\..*)?", _CLIENT),
        (r"Model\.get_model_path(\(\).*)?", "an input of the type `custom_model` or `mlflow_model`"),
        (r"Model(\..*)?", "`mlflow.register_model(uri, name)`, or `ml_client.models`"),
        (r"Experiment(\..*)?", "`mlflow.set_experiment(name)`"),
        (r"Environment(\..*)?", "`azure.ai.ml.entities.Environment`"),
    )
)
_UNKNOWN = 'unknown: see "Upgrade to v2" in Azure ML\'s documentation'


def replacement(dotted: str) -> str:
    """What replaces `azureml.core.Run.get_context().log` and the like; a call is written with `()`."""
    classes = re.sub(r"^(azureml|azureml_wrapper)(\.[a-z_]\w*)*\.", "", dotted)
    return next((text for pattern, text in _RULES if pattern.match(classes)), _UNKNOWN)

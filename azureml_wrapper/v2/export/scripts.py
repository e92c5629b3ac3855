"""Where a script uses `azureml.*` and this library, and what replaces it: read from its source, never run.

SDK v2 logs with mlflow and reads tables with mltable. Source: "Upgrade to v2" in Azure ML's documentation and its
pages on logging (how-to-log-view-metrics) and on data (migrate-to-v2-assets-data).
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

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


ROOTS = ("azureml", "azureml_wrapper")
# Modules whose packages have other names.
_PACKAGES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "mpi4py": "mpi4py",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
_AZUREML = {
    "azureml.train": "azureml-train",
    "azureml.pipeline": "azureml-pipeline",
    "azureml.mlflow": "azureml-mlflow",
}
# The results of these are plain Python: tables, strings, dictionaries.
_PLAIN = re.compile(
    r"\.((get_csv_from_\w+|to_pandas_dataframe|get_config)\(\)|config|args|input_folder|output_folder)$"
)


@dataclass(frozen=True, order=True)
class Use:
    """One use: the line, the code as written there, and what replaces it."""

    line: int
    what: str
    instead: str


@dataclass(frozen=True)
class Script:
    """A file of a script folder. `problem` says why it could not be read; then `uses` is empty."""

    file: Path
    uses: tuple[Use, ...] = ()
    modules: tuple[str, ...] = ()
    problem: str | None = None


def inspect(folder: Path, script: str) -> list[Script]:
    """The script and the modules of its folder that it imports, each once."""
    found: dict[Path, Script] = {}
    waiting = [folder / script]
    while waiting:
        file = waiting.pop(0)
        if file in found or not file.is_file():
            continue
        found[file] = read(file)
        waiting += _local(folder, found[file].modules)
    return list(found.values())


def read(file: Path) -> Script:
    """Read a script: what it uses of SDK v1, and which modules it imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        return Script(file, problem=f"Python cannot parse it: {error}")
    return Script(file, tuple(sorted(set(_uses(tree)))), tuple(sorted(set(_modules(tree)))))


def packages(scripts: list[Script], folder: Path) -> list[str]:
    """The pip packages that the scripts seem to need, guessed from their imports."""
    modules = {name for script in scripts for name in script.modules}
    outside = {name for name in modules if not _local(folder, (name,))}
    return sorted(
        {_package(name) for name in outside if name.split(".")[0] not in sys.stdlib_module_names}, key=str.lower
    )


def _package(module: str) -> str:
    root = module.split(".")[0]
    if root == "azureml":
        return _AZUREML.get(".".join(module.split(".")[:2]), "azureml-defaults")
    return _PACKAGES.get(root, root)


def _local(folder: Path, modules: tuple[str, ...]) -> list[Path]:
    found = []
    for module in modules:
        path = folder.joinpath(*module.split("."))
        root = folder / module.split(".")[0]
        for file in (path.with_suffix(".py"), path / "__init__.py", root.with_suffix(".py"), root / "__init__.py"):
            if file.is_file():
                found.append(file)
    return found


def _modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _uses(tree: ast.AST) -> Iterator[Use]:
    names = dict(_imports(tree))
    # A value may depend on a value that was assigned before.
    for _ in range(3):
        names |= dict(_assigned(tree, names))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _import_uses(node)
    yield from _expressions(tree, names)


def _import_uses(node: ast.Import | ast.ImportFrom) -> Iterator[Use]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] in ROOTS:
                yield Use(node.lineno, f"import {alias.name}", "see the lines that use it")
    elif (node.module or "").split(".")[0] in ROOTS:
        names = ", ".join(alias.name for alias in node.names)
        yield Use(node.lineno, f"from {node.module} import {names}", "see the lines that use it")


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in ROOTS:
                    yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ROOTS:
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _assigned(tree: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        dotted = _dotted(node.value, names)
        if dotted and not _PLAIN.search(dotted):
            yield from ((target.id, dotted) for target in targets if isinstance(target, ast.Name))


def _expressions(node: ast.AST, names: Mapping[str, str]) -> Iterator[Use]:
    """The longest chains that start with a name of SDK v1, and those inside their brackets."""
    dotted = _dotted(node, names)
    if dotted and not isinstance(node, ast.Name):
        yield Use(node.lineno, _shown(node), replacement(dotted))  # type: ignore[attr-defined]
        yield from _within(node, names)
        return
    for child in ast.iter_child_nodes(node):
        yield from _expressions(child, names)


def _within(node: ast.AST, names: Mapping[str, str]) -> Iterator[Use]:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        inner: list[ast.AST] = []
        if isinstance(node, ast.Call):
            inner = [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Subscript):
            inner = [node.slice]
        for child in inner:
            yield from _expressions(child, names)
        node = node.func if isinstance(node, ast.Call) else node.value


def _dotted(node: ast.AST, names: Mapping[str, str]) -> str | None:
    """`azureml.core.Run.get_context().log` for an expression; None if it does not come from SDK v1."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if not isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        return None
    inner = _dotted(node.func if isinstance(node, ast.Call) else node.value, names)
    if inner is None or _PLAIN.search(inner):
        return None
    return inner + (
        f".{node.attr}" if isinstance(node, ast.Attribute) else "()" if isinstance(node, ast.Call) else "[]"
    )


def _shown(node: ast.AST) -> str:
    """The chain as written, without the arguments of its calls."""
    if isinstance(node, ast.Call):
        return f"{_shown(node.func)}(…)" if node.args or node.keywords else f"{_shown(node.func)}()"
    if isinstance(node, ast.Attribute):
        return f"{_shown(node.value)}.{node.attr}"
    if isinstance(node, ast.Subscript):
        return f"{_shown(node.value)}[{ast.unparse(node.slice)}]"
    return ast.unparse(node)

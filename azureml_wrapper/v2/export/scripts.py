"""Where a script uses `azureml.*` and this library, line by line: read from its source; the script is not run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from azureml_wrapper.v2.export.replacements import replacement

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

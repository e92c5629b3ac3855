"""What must hold before a pipeline is built: checked before anything is uploaded and before anything costs money."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from azureml_wrapper.errors import BadPipeline, did_you_mean
from azureml_wrapper.pipelines.definition import Definition, Step
from azureml_wrapper.snapshots.script_folder import check_script, check_upload

# With any of these in it, a script may take more than its calls of add_argument say.
_UNSURE = (
    "parse_known_args",
    "parse_known_intermixed_args",
    "add_subparsers",
    "set_defaults",
    "SystemExit",
    "argv",
    "BooleanOptionalAction",
)
_UNSURE_KEYWORDS = ("parents", "prefix_chars", "fromfile_prefix_chars", "conflict_handler", "add_help")
_BRANCHES = (ast.If, ast.For, ast.While, ast.Try, ast.IfExp, ast.BoolOp, ast.comprehension)


@dataclass(frozen=True)
class Accepted:
    """The options of a script, and those without which it exits."""

    options: tuple[str, ...]
    required: tuple[tuple[str, ...], ...]

    def takes(self, name: str) -> bool:
        """Whether argparse takes it; an unambiguous prefix of an option is enough."""
        given = name.partition("=")[0]
        return given in self.options or sum(option.startswith(given) for option in self.options) == 1


def check_arguments(step: Step) -> None:
    """Raise `BadPipeline` for an argument that the step's script does not take, or that it requires and does not get.

    Scripts of a ParallelRunStep share their command line with its own program, and are not checked.
    """
    accepted = None if step.is_parallel else read(step.directory / step.script)
    if accepted is None:
        return
    names = [*(argument.name for argument in step.arguments), *(step.reads or {})]
    names += [step.output.argument] if step.output else []
    passed = [name for name in names if name.startswith("--")]
    for name in passed:
        if not accepted.takes(name):
            near = did_you_mean(name, accepted.options) or f" It takes {', '.join(accepted.options)}."
            raise BadPipeline(
                f"Step {step.name!r} passes {name}, but {step.script} does not take it.{near} Add it to the script, "
                "or call parse_known_args() there."
            )
    for options in accepted.required:
        if not any(option.startswith(name.partition("=")[0]) for option in options for name in passed):
            raise BadPipeline(f"{step.script} requires {options[-1]}, but step {step.name!r} does not pass it.")


def read(file: Path) -> Accepted | None:
    """What the script takes; None if its source leaves that open."""
    try:
        source = file.read_text(encoding="utf-8")
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return None
    if any(word in source for word in _UNSURE):
        return None
    parsers, parses, added = (
        [node for node in ast.walk(tree) if _calls(node, name)]
        for name in ("ArgumentParser", "parse_args", "add_argument")
    )
    if len(parsers) != 1 or len(parses) != 1 or _has_arguments(parses[0]) or not _is_plain(parsers[0]):
        return None
    if len(list(_unconditional(tree))) != len(added) + 1 or _is_passed_on(tree, parsers[0]):
        return None
    return _accepted(added)


def _calls(node: ast.AST, *names: str) -> TypeGuard[ast.Call]:
    """Whether a node calls a function or a method of one of these names."""
    if not isinstance(node, ast.Call):
        return False
    return (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)) in names


def _has_arguments(call: ast.Call) -> bool:
    return bool(call.args or call.keywords)


def _is_plain(parser: ast.Call) -> bool:
    return not any(keyword.arg is None or keyword.arg in _UNSURE_KEYWORDS for keyword in parser.keywords)


def _unconditional(node: ast.AST) -> Iterator[ast.Call]:
    """The calls of add_argument and parse_args that are made whenever the code around them runs."""
    for child in ast.iter_child_nodes(node):
        if _calls(child, "add_argument", "parse_args"):
            yield child
        if not isinstance(child, _BRANCHES) or _is_main(child):
            yield from _unconditional(child)


def _is_main(node: ast.AST) -> bool:
    """`if __name__ == "__main__":`, which holds for a step's script."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and _is_name(node.test.left, "__name__")


def _is_name(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def _is_passed_on(tree: ast.AST, parser: ast.Call) -> bool:
    """Whether other code may add arguments: the parser is passed to a function, or is not a plain variable."""
    names = [
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is parser
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    passed = (value for call in calls for value in (*call.args, *(keyword.value for keyword in call.keywords)))
    returned = (node.value for node in ast.walk(tree) if isinstance(node, ast.Return) and node.value is not None)
    return not names or any(_is_name(value, *names) for value in (*passed, *returned))


def _accepted(added: Iterable[ast.Call]) -> Accepted | None:
    options: list[str] = ["-h", "--help"]
    required: list[tuple[str, ...]] = []
    for call in added:
        if any(keyword.arg is None for keyword in call.keywords):
            return None
        names = [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if len(names) != len(call.args) or not names:
            return None
        if not names[0].startswith("-"):
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        options += names
        is_required = given.get("required", ast.Constant(value=False))
        if not isinstance(is_required, ast.Constant):
            return None
        if is_required.value:
            required.append(tuple(names))
    return Accepted(tuple(options), tuple(required))


def check(definition: Definition) -> None:
    """Raises `ScriptNotFound`, `SnapshotTooLarge`, `SecretInFolder` or `BadPipeline`."""
    for step in definition.steps:
        check_script(step.directory, step.script)
        check_arguments(step)
    for directory in dict.fromkeys(step.directory for step in definition.steps):
        check_upload(directory)


def check_inputs(definition: Definition) -> None:
    """Raise `BadPipeline` for a ParallelRunStep that has nothing to divide."""
    for step in definition.steps:
        if step.is_parallel and not (step.paths or step.datasets or step.reads):
            raise BadPipeline(
                f"Step {step.name!r} is a ParallelRunStep and has no input: give {_inputs(definition)}."
            )


def _inputs(definition: Definition) -> str:
    if definition.in_sequence:
        return "input_datareference_path and input_dataset_name, or an output to a step before it"
    return "input_datasets, input_paths or input_steps"

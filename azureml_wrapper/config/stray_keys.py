"""Unknown keys of a dict: one dict may serve several classes and hold values of the program's own.

In a file, every unknown key is an error, as is one that is nearly a known key. Any other unknown key of a dict is
left out, with one warning for all of them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from azureml_wrapper.config.models import Model, PipelineConfig, StepConfig, WorkspaceConfig
from azureml_wrapper.config.parsing import KeyPath, Problem, show_path
from azureml_wrapper.errors import near

_PACKAGE = __name__.partition(".")[0]
_SHARING: tuple[type[Model], ...] = (WorkspaceConfig, StepConfig, PipelineConfig)
# So near to a known key that it is a typo: "subscripton_id", not "storage_name" for "step_name".
_TYPO = 0.82


def shared_keys() -> set[str]:
    """The keys of all classes that may be given the same dict."""
    return {key for model in _SHARING for key in model.model_fields}


def is_stray(model: type[Model], path: KeyPath, known: Iterable[str]) -> bool:
    """Whether an unknown key of a dict or of one of its steps may be left out: none of `known` resembles it."""
    if model not in _SHARING or len(path) not in (1, 3) or (len(path) == 3 and path[0] != "steps"):
        return False
    return str(path[-1]) in shared_keys() or not near(str(path[-1]), known, _TYPO)


def without_stray_keys(data: Mapping[str, Any], stray: Iterable[Problem]) -> dict[str, Any]:
    """The data without its stray keys."""
    pruned: dict[str, Any] = _pruned(data, {problem.path for problem in stray}, ())
    return pruned


def warn_of_stray_keys(stray: Iterable[Problem]) -> None:
    """One warning, which names the keys that no class knows."""
    known = shared_keys()
    unknown = [problem.path for problem in stray if problem.path[-1] not in known]
    if unknown:
        noun, shown = "key" if len(unknown) == 1 else "keys", ", ".join(map(show_path, unknown))
        warnings.warn(f"Ignored unknown {noun} of the config: {shown}.", stacklevel=_callers())


def _pruned(value: Any, paths: set[KeyPath], here: KeyPath) -> Any:
    if isinstance(value, Mapping):
        kept = ((key, item) for key, item in value.items() if (*here, key) not in paths)
        return {key: _pruned(item, paths, (*here, key)) for key, item in kept}
    if isinstance(value, list):
        return [_pruned(item, paths, (*here, index)) for index, item in enumerate(value)]
    return value


def _callers() -> int:
    """The `stacklevel` of the first line outside this package."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    return level

"""The error tree: what a user catches, and what a user reads."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from azureml_wrapper import errors

CLASSES = [each for each in vars(errors).values() if inspect.isclass(each) and issubclass(each, errors.WrapperError)]


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.MissingKey, KeyError),
        (errors.WrongType, TypeError),
        (errors.BadValue, ValueError),
        (errors.ConfigNotFound, FileNotFoundError),
        (errors.ConfigSyntax, ValueError),
        (errors.UnregisteredDataset, NameError),
        (errors.BadSchedule, ValueError),
        (errors.AlreadyRegistered, ValueError),
        (errors.ScriptNotFound, FileNotFoundError),
        (errors.LoginFailed, PermissionError),
        (errors.RunFailed, RuntimeError),
        (errors.RunTimeout, TimeoutError),
        (errors.MissingInput, KeyError),
    ],
)
def test_a_builtin_catches_it(error, builtin):
    with pytest.raises(builtin):
        raise error("because")


def test_several_problems_are_caught_as_each_of_them():
    for builtin in (KeyError, TypeError, ValueError):
        with pytest.raises(builtin):
            raise errors.SeveralProblems("several")


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_the_message_is_shown_as_it_is(error):
    message = "first line\nsecond 'line'"
    assert str(error(message)) == message


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_the_docstring_is_the_default_message(error):
    assert str(error()) == " ".join(error.__doc__.split())


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_it_survives_pickling(error):
    # concurrent.futures and multiprocessing send errors so.
    again = pickle.loads(pickle.dumps(error("why")))  # noqa: S301
    assert type(again) is error
    assert str(again) == "why"


def test_the_tree_in_the_docstring_has_every_class_and_no_other():
    drawn = {"WrapperError", *re.findall(r"[├└]── (\w+)", errors.__doc__)}
    assert drawn == {each.__name__ for each in CLASSES}


@pytest.mark.parametrize("error", CLASSES, ids=lambda each: each.__name__)
def test_the_builtin_in_the_drawing_is_a_base(error):
    line = next(line for line in errors.__doc__.splitlines() if re.search(rf"\b{error.__name__}\b", line))
    builtin = re.search(r"\b(\w+Error)\b", line.split(error.__name__, 1)[1])
    if builtin:
        assert builtin.group(1) in {base.__name__ for base in error.__mro__}


def test_near_names_are_proposed():
    assert errors.near("datset", ["dataset", "other", "Datasets"]) == ["dataset", "Datasets"]
    assert errors.did_you_mean("zzz", ["dataset"]) == ""
    assert errors.did_you_mean("envname", ["env_name"]) == " Did you mean 'env_name'?"

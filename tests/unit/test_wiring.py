"""Which step reads whose folder."""

from __future__ import annotations

import pytest

from azureml_wrapper.errors import BadPipeline
from azureml_wrapper.pipelines.wiring import Wires, wire


def test_a_chain_passes_folders_on():
    assert wire([("a", None), ("b", None), ("c", None)]) == [
        Wires({}, has_output=True),
        Wires({"--input-folder": "a"}, has_output=True),
        Wires({"--input-folder": "b"}, has_output=False),
    ]


def test_a_cycle_does_not_blame_the_steps_that_only_wait_for_it():
    with pytest.raises(BadPipeline, match="Steps b, c wait for each other"):
        wire([("a", {"--x": "b"}), ("b", {"--x": "c"}), ("c", {"--x": "b"}), ("d", None)])


def test_a_single_step_has_no_folders():
    assert wire([("a", None)]) == [Wires({}, has_output=False)]


def test_steps_fan_out_and_in():
    wires = wire(
        [
            ("prep", None),
            ("profile", {}),
            ("train", {"--train-folder": "prep"}),
            ("join", {"--train-folder": "train", "--stats-folder": "profile"}),
        ]
    )
    assert [dict(each.inputs) for each in wires] == [
        {},
        {},
        {"--train-folder": "prep"},
        {"--train-folder": "train", "--stats-folder": "profile"},
    ]
    assert [each.has_output for each in wires] == [True, True, True, False]


def test_the_last_step_has_an_output_where_somebody_reads_it():
    wires = wire([("report", {"--in": "work"}), ("work", {})])
    assert [each.has_output for each in wires] == [True, True]


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([], "at least one step"),
        ([("a", None), ("a", None)], "Two steps have the name 'a'"),
        ([("prep", None), ("b", {"--x": "perp"})], "not a step of this pipeline. Did you mean 'prep'"),
        ([("a", {"--x": "a"})], "Steps a wait for each other in a cycle"),
        ([("a", {"--x": "c"}), ("b", {"--x": "a"}), ("c", {"--x": "b"}), ("d", {})], "Steps a, b, c wait"),
    ],
)
def test_what_makes_no_pipeline_is_refused(steps, told):
    with pytest.raises(BadPipeline, match=told):
        wire(steps)

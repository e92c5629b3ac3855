"""What has to be done to make one side like the other."""

from __future__ import annotations

from azureml_wrapper.transfer.plan import Content, Plan, needs_hash, plan

A, B = Content(1, "a"), Content(1, "b")


def test_what_is_not_there_is_sent():
    assert plan({"x": A}, {}) == Plan(send=("x",))


def test_what_is_the_same_is_skipped_and_what_differs_is_sent():
    assert plan({"x": A, "y": A}, {"x": A, "y": B}) == Plan(send=("y",), skip=("x",))


def test_the_same_md5_of_another_size_is_not_the_same():
    assert plan({"x": Content(1, "a")}, {"x": Content(2, "a")}) == Plan(send=("x",))


def test_what_cannot_be_known_to_be_equal_is_sent():
    unknown = Content(1)
    assert plan({"x": A}, {"x": unknown}).send == ("x",)
    assert plan({"x": unknown}, {"x": A}).send == ("x",)
    assert plan({"x": unknown}, {"x": unknown}).send == ("x",)


def test_a_renamed_file_is_copied_from_its_old_name():
    assert plan({"new": A}, {"old": A}) == Plan(copy=(("old", "new"),))


def test_a_second_copy_of_a_file_that_stays_is_sent():
    """Its old name may be overwritten in the same transfer."""
    assert plan({"x": A, "copy": A}, {"x": A}) == Plan(send=("copy",), skip=("x",))


def test_empty_files_are_not_copied():
    empty = Content(0, "e")
    assert plan({"new": empty}, {"old": empty}) == Plan(send=("new",))


def test_what_the_source_does_not_have_is_deleted_only_on_demand():
    assert plan({"x": A}, {"x": A, "y": B}).delete == ()
    assert plan({"x": A}, {"x": A, "y": B}, delete=True).delete == ("y",)


def test_a_swap_of_two_names_sends_both():
    assert plan({"x": A, "y": B}, {"x": B, "y": A}) == Plan(send=("x", "y"))


def test_only_files_that_may_be_equal_are_hashed():
    source = {"same size": Content(1), "other size": Content(2), "new": Content(3), "known": Content(1, "k")}
    target = {"same size": A, "other size": A, "known": A}
    assert needs_hash(source, target) == ["same size"]


def test_a_new_name_is_hashed_where_it_may_be_a_renamed_file():
    assert needs_hash({"new": Content(5)}, {"old": Content(5, "o")}) == ["new"]
    assert needs_hash({"new": Content(5), "old": Content(5, "o")}, {"old": Content(5, "o")}) == []


def test_a_file_whose_counterpart_has_no_md5_is_not_hashed():
    assert needs_hash({"x": Content(1)}, {"x": Content(1)}) == []

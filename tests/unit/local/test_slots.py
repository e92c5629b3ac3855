"""Who gets slots, in which order, and what that costs."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.executor.slots import ComputeSlots, Request, Stopped


class Desk:
    """Requests by name, and those that were started after a wait, in their order."""

    def __init__(self, cores: int = 9) -> None:
        self.slots, self.started = ComputeSlots(cores), []
        self.stopped, self.unable = set(), set()
        self.requests: dict[str, Request] = {}

    def ask(self, name: str, compute: str, limit: int = 1, nodes: int = 1, number: int | None = None) -> bool:
        """Whether it has its slots at once."""

        def start() -> bool:
            self.started.append(name)
            return name not in self.unable

        self.requests[name] = request = Request(
            slots=self.slots,
            compute=("w", compute),
            limit=limit,
            nodes=nodes,
            number=len(self.requests) if number is None else number,
            start=start,
            gave_up=lambda: name in self.stopped,
        )
        return self.slots.acquire(request) or self.slots.wait(request)

    def release(self, name: str) -> None:
        self.slots.release(self.requests[name])

    def withdraw(self, name: str) -> bool:
        return self.slots.withdraw(self.requests[name])


def test_a_compute_and_the_machine_have_their_limits():
    desk = Desk(cores=3)
    assert [desk.ask(f"a{number}", "a", 2) for number in range(3)] == [True, True, False]
    assert [desk.ask(f"b{number}", "b", 9) for number in range(2)] == [True, False]
    # The first job of a compute gets in whatever the others do.
    assert desk.ask("c", "c")
    desk.release("a0")
    assert desk.started == []
    desk.release("c")
    assert desk.started == ["a2"]


def test_who_waits_longest_is_next_and_somebody_elses_limit_does_not_hold_it_up():
    desk = Desk()
    assert [desk.ask(name, "a") for name in ("running", "first", "second")] == [True, False, False]
    assert desk.ask("other", "b")
    desk.release("running")
    assert desk.started == ["first"]
    desk.release("first")
    assert desk.started == ["first", "second"]


def test_on_a_full_machine_the_order_of_arrival_counts_for_all_computes():
    desk = Desk(cores=4)
    assert [desk.ask(name, name[0], 9) for name in ("a0", "a1", "b0", "b1")] == [True] * 4
    assert [desk.ask(name, name[0], 9) for name in ("b2", "a2", "b3")] == [False] * 3
    for name in ("a0", "b0", "a1"):
        desk.release(name)
    assert desk.started == ["b2", "a2", "b3"]


def test_a_job_of_several_nodes_waits_for_all_and_is_not_overtaken():
    desk = Desk()
    assert desk.ask("running", "a", 2)
    assert [desk.ask("both", "a", 2, nodes=2), desk.ask("one", "a", 2)] == [False, False]
    desk.release("running")
    assert desk.started == ["both"]
    desk.release("both")
    assert desk.started == ["both", "one"]


def test_all_that_fit_get_the_slots_of_a_job_of_several_nodes():
    desk = Desk()
    assert desk.ask("both", "a", 2, nodes=2)
    assert [desk.ask(name, "a", 2) for name in ("one", "other", "third")] == [False] * 3
    desk.release("both")
    assert desk.started == ["one", "other"]


def test_who_asks_late_keeps_its_place_in_the_order_of_arrival():
    desk = Desk()
    asked = [desk.ask(name, "a", number=number) for name, number in (("0", 0), ("2", 2), ("1", 1), ("3", 3))]
    assert asked == [True, False, False, False]
    assert desk.withdraw("2")
    for name in ("0", "1"):
        desk.release(name)
    assert desk.started == ["1", "3"]


def test_who_gives_up_makes_room_for_the_next():
    desk = Desk()
    assert desk.ask("running", "a", 2)
    assert [desk.ask("both", "a", 2, nodes=2), desk.ask("one", "a", 2)] == [False, False]
    assert desk.withdraw("both")
    assert desk.started == ["one"]
    assert [desk.withdraw(name) for name in ("both", "one", "running")] == [False, False, False]


def test_a_job_that_was_stopped_before_it_waits_does_not_wait():
    desk = Desk()
    assert desk.ask("running", "a")
    desk.stopped.add("late")
    with pytest.raises(Stopped):
        desk.ask("late", "a")
    desk.release("running")
    assert desk.started == []


def test_slots_of_jobs_that_cannot_start_go_to_the_next_however_many():
    desk = Desk()
    assert desk.ask("running", "a")
    names = [f"waiting {number}" for number in range(2000)]
    assert [desk.ask(name, "a") for name in names] == [False] * 2000
    desk.unable.update(names[:-1])
    desk.release("running")
    assert desk.started == names


def looks(monkeypatch, waiting: int) -> int:
    """How many requests are looked at while that many come, wait, are stopped (every fourth), run and end."""
    count = 0

    def counted(self: ComputeSlots, request: Request) -> bool:
        nonlocal count
        count += 1
        return fits(self, request)

    fits = ComputeSlots._fits
    with monkeypatch.context() as patch:
        patch.setattr(ComputeSlots, "_fits", counted)
        desk = Desk()
        names = [f"job {number}" for number in range(waiting)]
        for number, name in enumerate(names):
            desk.ask(name, f"compute {number % 2}", 3)
        stopped = [name for name in names[::-4] if desk.withdraw(name)]
        for name in names:
            if name not in stopped:
                desk.release(name)
    assert len(desk.started) + len(stopped) + 6 == waiting
    return count


def test_a_job_costs_the_same_however_many_wait(monkeypatch):
    few, many = looks(monkeypatch, 100), looks(monkeypatch, 1000)
    assert many <= 11 * few

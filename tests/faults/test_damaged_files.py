"""Each file of a home, damaged in turn: the service starts, or says in a sentence which file it is."""

from __future__ import annotations

from datetime import date

import pytest

from tests.faults.damages import DAMAGES, damage_everything, one_each


@pytest.mark.slow(20)
def test_each_file_of_a_home_may_be_damaged(tmp_path):
    """Each kind in one way, in another one each day; `make faults` does all."""
    assert damage_everything(tmp_path, one_each(date.today().toordinal())) == []


def test_neighbouring_files_are_damaged_in_all_ways_and_each_is_so_within_as_many_days():
    for chosen in ([one_each(7)(number) for number in range(4)], [one_each(day)(3) for day in range(4)]):
        assert {way for ways in chosen for way in ways} == set(DAMAGES)

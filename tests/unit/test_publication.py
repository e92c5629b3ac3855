"""Disabling: one schedule that fails does not keep the others active."""

from __future__ import annotations

import pytest

from azureml_wrapper.errors import ConnectionFailed
from azureml_wrapper.publishing.publication import disable_all


class Schedule:
    def __init__(self, name, error=None):
        self.name = self.id = name
        self.error, self.is_disabled = error, False

    def disable(self):
        if self.error:
            raise self.error
        self.is_disabled = True


def test_every_schedule_is_tried_and_those_that_failed_are_named():
    from azureml.exceptions import AzureMLException

    first, broken, last = Schedule("first"), Schedule("broken", AzureMLException("busy")), Schedule("last")
    with pytest.raises(ConnectionFailed, match=r"Still active, disable it again: schedule 'broken'.*busy") as caught:
        disable_all([first, broken, last])
    assert first.is_disabled
    assert last.is_disabled
    assert "'first'" not in str(caught.value)

"""Files of web addresses, as far as no network is needed."""

from __future__ import annotations

import pytest

from azureml_wrapper.local.domain.errors import Unsupported
from azureml_wrapper.local.executor.webfiles import fetch


@pytest.mark.parametrize("address", ["http://../data.csv", "http://./data.csv", "http:///data.csv", "ftp://host/a"])
def test_an_address_without_a_host_creates_no_folder(address, tmp_path):
    with pytest.raises(Unsupported, match="nor a web address"):
        fetch("files", address, tmp_path / "inputs" / "files")
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(Unsupported, match="an invalid web address"):
        fetch("files", "http://[/data.csv", tmp_path)

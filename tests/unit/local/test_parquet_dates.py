"""Which columns of a Parquet file the SDK's reader misreads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from azureml_wrapper.local.executor.inputs import columns_of_seconds

DAYS = pd.Series(np.array(["2024-03-01", "2025-01-02"], dtype="datetime64[s]"))


def test_columns_of_seconds_are_found_with_a_time_zone_too(tmp_path):
    file = tmp_path / "x.parquet"
    columns = {"day": DAYS, "there": DAYS.dt.tz_localize("UTC"), "right": DAYS.astype("datetime64[ns]"), "n": [1, 2]}
    pd.DataFrame(columns).to_parquet(file)
    assert columns_of_seconds(file) == ["day", "there"]
    pd.DataFrame({"right": DAYS.astype("datetime64[ms]"), "n": [1, 2]}).to_parquet(file)
    assert columns_of_seconds(file) == []


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"PAR1", b"\xff\xff\xff\xffPAR1", b'{"index_columns"' + b"\x10\0\0\0PAR1"]
)
def test_what_pandas_has_not_written_is_left_to_the_reader(tmp_path, content):
    (tmp_path / "x.parquet").write_bytes(content)
    assert columns_of_seconds(tmp_path / "x.parquet") == []

"""What the beginning of a CSV file tells."""

from __future__ import annotations

import pytest

from azureml_wrapper.assets.csv_datasets import Csv
from azureml_wrapper.errors import BadData


@pytest.mark.parametrize(
    ("how", "content"),
    [
        (Csv(), b"a,b\n1,2\n"),
        (Csv(), b"one\n1\n2\n"),
        (Csv(), b"text\nsome; words\nothers\n"),
        (Csv(), "a,b\né,2\n".encode()),
        (Csv(), b"\xef\xbb\xbfa,b\n1,2\n"),
        (Csv(delimiter=";"), b"a;b\n1;2\n"),
        (Csv(delimiter="\t"), b"a\tb\n1\t2\n"),
        (Csv(encoding="latin1"), "a,b\né,2\n".encode("latin-1")),
        (Csv(encoding="utf16"), "a,b\n1,2\n".encode("utf-16")),
        (Csv(multi_line=True), b'a,b\n"x\ny",2\n3,4\n'),
    ],
)
def test_a_file_that_fits_is_taken(how, content):
    how.check(content, name="x.csv", whole=True)


@pytest.mark.parametrize(
    ("how", "content", "told"),
    [
        (Csv(), b"", "x.csv is empty"),
        (Csv(), b"\n \n", "x.csv is empty"),
        (Csv(), b"a,b\n", "a header but no rows"),
        (Csv(), b"a;b\n1;2\n", "delimited by ';', not by ','. Pass delimiter=';'"),
        (Csv(), b"a\tb\n1\t2\n", r"delimited by '\\t'"),
        (Csv(delimiter=";"), b"a,b\n1,2\n", "delimited by ','"),
        (Csv(), b"a,b\n\xe9,2\n", "not encoded in utf8"),
        (Csv(), b'a,b\n"x\ny",2\n3,4\n', "multi_line=True"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_to_do(how, content, told):
    with pytest.raises(BadData, match=told):
        how.check(content, name="x.csv", whole=True)


def test_a_sample_may_end_anywhere():
    content = "a,b\né,2\n".encode()
    for end in range(5, len(content)):
        Csv().check(content[:end], name="x.csv", whole=False)

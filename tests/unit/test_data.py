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
        (Csv(encoding="UTF16"), "a,b\r\n1,2\r\n".encode("utf-16-le")),
        (Csv(encoding="utf8bom"), b"\xef\xbb\xbfa,b\n1,2\n"),
        (Csv(encoding="utf8bom"), b"a,b\n1,2\n"),
        (Csv(encoding="iso88591"), b"a,b\n\xe9,2\n"),
        (Csv(encoding="windows1252"), b"a,b\n\x80\x81,2\n"),
        (Csv(encoding="ascii"), b"a,b\n1,2\n"),
        (Csv(), b'a,b\n1,"x\ty"'),
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
        (Csv(), b'a,b\n1,2\n3,"x\ny"\n', "multi_line=True"),
        (Csv(), b'a,b\r\n1,"x\r\ny"', "multi_line=True"),
        (Csv(), b"a,b\r1,2\r3,4\r", "end with CR alone"),
        (Csv(multi_line=True), b"a,b\r1,2", "end with CR alone"),
        (Csv(encoding="ascii"), b"a,b\n\xe9,2\n", "not encoded in ascii"),
        (Csv(), "a,b\n1,2\n".encode("utf-16"), "mark of utf16. Pass encoding='utf16'"),
        (Csv(), "a,b\n1,2\n".encode("utf-16-le"), "zero bytes. Pass encoding='utf16'"),
        (Csv(encoding="latin1"), "a,b\n1,2\n".encode("utf-16"), "mark of utf16. Pass encoding='utf16'"),
        (Csv(encoding="windows1252"), b"\xef\xbb\xbfa,b\n1,2\n", "mark of utf8. Pass encoding='utf8'"),
        (Csv(encoding="utf16"), b"\xef\xbb\xbfa,b\n1,2\n", "mark of utf8. Pass encoding='utf8'"),
        (Csv(encoding="utf16"), b"\xfe\xff" + "a,b\n1,2\n".encode("utf-16-be"), "big-endian order, which datasets"),
        (Csv(encoding="utf16"), "a,b\n1,2\n".encode("utf-16-be"), "big-endian order, which datasets"),
        (Csv(encoding="utf16"), b"a,b\n1,2\n", "not encoded in utf16. Pass encoding='utf8'"),
        (Csv(), "a,b\n1,2\n".encode("utf-32"), "UTF-32, which datasets cannot read. Save it as UTF-8"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_to_do(how, content, told):
    with pytest.raises(BadData, match=told):
        how.check(content, name="x.csv", whole=True)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"encoding": "utf-8"}, "Unknown encoding 'utf-8'. Did you mean 'utf8'"),
        ({"encoding": "klingon"}, "Expected one of iso88591, latin1, windows1252, ascii, utf8, utf8bom, utf16."),
        ({"encoding": "utf32"}, "'utf32', which datasets cannot read. Save it as UTF-8."),
        ({"delimiter": "||"}, "delimiter must be one character, got '||'"),
        ({"delimiter": ""}, "delimiter must be one character, got ''"),
    ],
)
def test_settings_that_no_dataset_has_are_refused(settings, told):
    with pytest.raises(BadData) as caught:
        Csv(**settings)
    assert told in str(caught.value)


def test_a_line_break_at_the_end_of_a_part_is_left_open():
    Csv().check(b'a,b\n1,2\n3,"x\ny', name="x.csv", whole=False)


def test_a_sample_may_end_anywhere():
    content = "a,b\né,2\n".encode()
    for end in range(5, len(content)):
        Csv().check(content[:end], name="x.csv", whole=False)

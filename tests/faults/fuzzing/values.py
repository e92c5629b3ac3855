"""What is wrong, or odd, in a body, a query, a path or a header."""

from __future__ import annotations

import base64

NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64, 10**30, 10**400, 1e308, 5e-324, 0.1, -0.0)
# Continuation tokens that the service has not made: base64 of JSON.
TOKENS = tuple(
    base64.urlsafe_b64encode(text.encode()).decode()
    for text in ("[]", "5", '["x", 1e999]', r'["\ud800", 1]', "[1, 99999999999999999999]", '[{}, "1"]', "[" * 2000)
)
TEXTS = (
    *TOKENS,
    "",
    " ",
    ".",
    "..",
    "x\0y",
    "a\r\nb: c",
    "\ud800",
    "\N{GRINNING FACE}" * 3,
    "ünï\N{COMBINING ACUTE ACCENT}\N{RIGHT-TO-LEFT OVERRIDE}\N{ZERO WIDTH SPACE}\N{BYTE ORDER MARK}",
    "\x1b[31m\x07\x7f\x85",
    "../../outside",
    "..\\..\\outside",
    "/dev/null",
    "/proc/self/environ",
    "file:///etc/passwd",
    "http://127.0.0.1:1/x",
    "a/../../b",
    "%2e%2e%2f%00%",
    "{0.__class__}%s%n${HOME}`id`$(id)",
    "'; DROP TABLE runs; --",
    '"</script><script>alert(1)</script>',
    "-rf",
    "NaN",
    "null",
    "true",
    "1e5",
    "0x10",
    "1_000",
    "\N{SUPERSCRIPT TWO}",
    "9" * 30,
    "9" * 5000,
    "9999-12-31T23:59:59.9999999Z",
    "9999-12-31T23:59:59-12:00",
    "0001-01-01T00:00:00+12:00",
    "0000-00-00T00:00:00",
    "2026-02-30T25:61:61+99:99",
    "P99999999999D",
    "CON",
    "x" * 256,
    "é" * 200,
    "a/" * 120,
    "00000000-0000-0000-0000-000000000000",
)
WRONG = (None, True, False, [], {}, [None], [[]], {"": None}, {"a": {"b": []}}, *NUMBERS, *TEXTS)
METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "MERGE", "get", "X")
QUERY_NAMES = """
    $count $filter $orderby $skiptoken $top activeOnly api-version append blockid blocklisttype comp
    continuationToken count datasetId datastoreName delimiter experimentName experiment_id experiment_name
    framework include latestVersionOnly marker max_results maxresults metric_key name order page_token pageSize
    parentRunId path pipelineVersion prefix program properties restype rsct rscd run_id run_uuid runId sig se sp
    sr ss srt sv st snapshot subscriptions tags timeout updateDefinitionIfExists versionId versionid view_type
    viewType wsid
"""
QUERIES = QUERY_NAMES.split()
DATES = (
    "Tue, 01 Dec 2026 08:00:00 +99999999999999999999",
    "Fri, 31 Dec 9999 23:59:59 -1200",
    "Tue, 01 Dec 2026 08:00:00 GMT",
    "yesterday",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "9999-99-99",
    "",
)
HEADERS: dict[str, tuple[str, ...]] = {
    "Range": ("bytes=0-", "bytes=5-2", "bytes=-5", "bytes=0-1,3-4", "bytes=99999999999999999999-", "bytes=a-b", "x"),
    "x-ms-range": ("bytes=0-3", "bytes=-", "bytes=0-99999999999999999999999", "bytes=1-0", "lines=1-2"),
    "x-ms-range-get-content-md5": ("true", "x", ""),
    "If-Match": ("*", '"x"', '"0x0"', "W/*", '"' * 50, ""),
    "If-None-Match": ("*", '"x"', "", ","),
    "If-Modified-Since": DATES,
    "If-Unmodified-Since": DATES,
    "Content-Type": (
        "application/json; charset=utf-16",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 200,
        'multipart/mixed; boundary="\xff"',
        "application/xml",
        "text/html; charset=x",
        "/",
        "",
    ),
    "Content-MD5": ("AAAAAAAAAAAAAAAAAAAAAA==", "x", "====", "\xff"),
    "Content-Encoding": ("gzip", "x", "br, gzip"),
    "Accept-Encoding": ("gzip", "*;q=0", ""),
    "Accept": ("text/html", "*/*;q=x", ""),
    "Prefer": ("wait=0.1", "wait=-1", "wait=x", "wait=1, wait=0", "wait", "wait=nan", "return=minimal"),
    "Expect": ("100-continue",),
    "Host": ("127.0.0.1", "evil.example", "localhost:1", "", "127.0.0.1:99999999"),
    "Connection": ("close", "upgrade", "keep-alive, x"),
    "Upgrade": ("websocket", "h2c"),
    "x-ms-version": ("2020-10-02", "", "x", "1900-01-01"),
    "x-ms-date": DATES,
    "x-ms-blob-type": ("PageBlob", "BlockBlob", "AppendBlob", "", "x"),
    "x-ms-copy-source": ("http://127.0.0.1:1/a/b", "x", "", "//", "http://[", "http://127.0.0.1/../../x"),
    "x-ms-meta-a": ("", "x" * 3000, "\xff\xfe", "\x01"),
    "x-ms-meta-1": ("x",),
    "x-ms-meta-": ("x",),
    "x-ms-meta-hdi_isfolder": ("true", "x"),
    "x-ms-blob-content-type": ("text/html", "", "x" * 2000, "\x01"),
    "x-ms-blob-content-md5": ("x", "AAAAAAAAAAAAAAAAAAAAAA==", ""),
    "x-ms-blob-content-length": ("-1", "9" * 30, "x"),
    "x-ms-blob-condition-appendpos": ("0", "-1", "9" * 30, "x"),
    "x-ms-blob-condition-maxsize": ("0", "-1", "9" * 30, "x"),
    "x-ms-lease-id": ("x",),
    "x-ms-tags": ("a=b",),
    "x-ms-client-request-id": ("x" * 2000, "\x01"),
    "x-http-method-override": ("DELETE",),
    "X-Forwarded-For": ("1.2.3.4",),
    "Cookie": ("a=b; c", "=" * 100),
    "Transfer-Encoding": ("identity", "gzip", "x"),
}

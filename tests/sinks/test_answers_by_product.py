"""Every status and body that a product of InfluxDB is documented or seen to answer a write with.

Version 1.6.7 itself is asked in `tests/integration`; here are the others, as their documentation,
their source or their users' reports word it.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.sinks.answers import Answer, judge
from tests.sinks.test_answers import NEW_RETENTION, NOW_NS

LINES = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(5)]
EVERYBODY = tuple(range(len(LINES)))


class Row(NamedTuple):
    product: str
    status: int
    body: object
    kind: type[Receipt]
    guilty: Sequence[int] = ()
    suspects: Sequence[int] = ()
    retry_after: str = ""
    after_s: float | None = None


def v2(code: str, message: str, **more: object) -> dict[str, object]:
    return {"code": code, "message": message, **more}


def v3(error: str, *numbers: int, one: bool = False) -> dict[str, object]:
    data = [
        {"original_line": "x", "line_number": number, "error_message": f"words of {number}"}
        for number in numbers
    ]
    return {"error": error, "data": data[0] if one else data}


CONFLICT = (
    "failure writing points to database: partial write: field type conflict: input field"
    ' "f" on measurement "m" is type float, already exists as type integer dropped='
)
NGINX = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n"
INDEX = '<!doctype html><html lang="en"><head><title>InfluxDB</title></head></html>'

OSS = "version 2 OSS"
CLOUD = "version 2 cloud"
CORE = "version 3 Core"
SERVERLESS = "version 3 cloud"
PROXY = "a proxy"

ROWS = [
    Row(OSS, 204, "", Delivered),
    Row(OSS, 200, INDEX, Halted),
    Row(OSS, 400, v2("invalid", f"unable to parse '{LINES[1].decode()}': x"), Refused, [1]),
    Row(OSS, 400, v2("invalid", "error parsing line 2 (1-based): x", line=2), Refused, [1]),
    Row(OSS, 400, v2("invalid", 'organization name "home" not found'), Halted),
    Row(OSS, 400, v2("invalid", "failed to decode request body: unexpected EOF"), Deferred),
    Row(OSS, 400, v2("invalid", "invalid precision; valid precision units are ns, us"), Halted),
    Row(OSS, 401, v2("unauthorized", "unauthorized access"), Halted),
    Row(OSS, 401, NGINX.replace("413 Request Entity Too Large", "401"), Halted),
    Row(OSS, 403, v2("forbidden", "insufficient permissions for write"), Halted),
    Row(OSS, 404, v2("not found", 'bucket "sensors" not found'), Halted),
    Row(OSS, 404, v2("not found", 'organization name "home" not found'), Halted),
    Row(OSS, 405, v2("method not allowed", "allow: POST"), Halted),
    Row(OSS, 408, v2("request timeout", "context canceled"), Deferred),
    Row(
        OSS,
        413,
        v2("request too large", "unable to read data: points batch is too large"),
        TooLarge,
    ),
    Row(OSS, 415, v2("unsupported media type", "x"), Halted),
    Row(OSS, 422, v2("unprocessable entity", f"{CONFLICT}1"), Refused, [], EVERYBODY),
    Row(OSS, 422, v2("unprocessable entity", f"{CONFLICT}5"), Refused, EVERYBODY),
    Row(OSS, 422, v2("unprocessable entity", NEW_RETENTION), Refused, [], [0, 1]),
    Row(OSS, 429, v2("too many requests", "x"), Deferred, retry_after="3", after_s=3.0),
    Row(OSS, 499, "", Deferred),
    Row(
        OSS,
        500,
        v2(
            "internal error",
            "unexpected error writing points to database: engine:"
            " cache-max-memory-size exceeded: (1074767264/1073741824)",
        ),
        Deferred,
    ),
    Row(
        OSS,
        500,
        v2("internal error", "unexpected error writing points to database: timeout"),
        Deferred,
    ),
    Row(OSS, 500, v2("internal error", "gzip: invalid header"), Deferred),
    Row(
        "version 2.0",
        500,
        v2("internal error", f"unexpected error: {CONFLICT}5"),
        Refused,
        EVERYBODY,
    ),
    Row(OSS, 503, {"status": "starting"}, Deferred),
    Row(
        CLOUD,
        400,
        v2(
            "invalid",
            "partial write error (1 accepted): 2/3 points rejected; first error: at line 3:13:"
            " expected tag key after comma; got white space instead (check rejected_points in your"
            " _monitoring bucket for further information)",
        ),
        Refused,
        [],
        [2],
    ),
    Row(CLOUD, 400, v2("invalid", "partial write error (2 written)"), Refused),
    Row(CLOUD, 413, NGINX, TooLarge),
    Row(
        CLOUD,
        429,
        v2("too many requests", "rate limit"),
        Deferred,
        retry_after="300",
        after_s=300.0,
    ),
    Row(
        CLOUD,
        429,
        v2("too many requests", "rate limit"),
        Deferred,
        retry_after="9999",
        after_s=600.0,
    ),
    Row(
        CLOUD,
        503,
        v2("unavailable", "x"),
        Deferred,
        retry_after="Wed, 03 Jul 2024 09:47:10 GMT",
        after_s=30.0,
    ),
    Row(CLOUD, 503, v2("unavailable", "org x has exceeded its series cardinality limit"), Halted),
    Row(CLOUD, 500, v2("internal error", "x"), Deferred),
    Row(CORE, 400, v3("partial write of line protocol occurred", 2, 5), Refused, [1, 4]),
    Row(CORE, 400, v3("parsing failed for write_lp endpoint", 3, one=True), Refused, [2]),
    Row(CORE, 400, v3("line protocol parsing error", 3, one=True), Refused, [2]),
    Row(CORE, 400, v3("partial write of line protocol occurred", 2, 6, 0), Refused, [1]),
    Row(CORE, 400, {"error": "incoming write was empty"}, Refused),
    Row(CORE, 400, v2("invalid", "write buffer error: line protocol parse failed: x"), Refused),
    Row(CORE, 400, v2("invalid", "write buffer error: error from wal: no space left"), Deferred),
    Row(CORE, 400, v2("invalid", "write buffer error: error from persister: x"), Deferred),
    Row(CORE, 400, v2("invalid", "write buffer error: catalog update error: x"), Deferred),
    Row(CORE, 400, {"error": "invalid database name: must start with a letter"}, Halted),
    Row(CORE, 400, {"error": "malformed authorization header"}, Halted),
    Row(CORE, 401, {"error": "the request was not authenticated"}, Halted),
    Row(CORE, 403, "", Halted),
    Row(CORE, 403, {"error": "forbidden"}, Halted),
    Row(CORE, 404, "not found", Halted),
    Row(CORE, 405, "", Halted),
    Row(CORE, 413, "max request size (10485760 bytes) exceeded", TooLarge),
    Row(
        CORE, 422, "Update to schema would exceed number of columns per table limit of 500", Refused
    ),
    Row(CORE, 422, "Update to schema would exceed number of tables limit of 2000", Refused),
    Row(CORE, 422, {"error": "Adding a new database would exceed limit of 5 databases"}, Halted),
    Row(CORE, 429, "", Deferred),
    Row(CORE, 500, "object store error: no space left on device", Deferred),
    Row(CORE, 503, "", Deferred, retry_after="7", after_s=7.0),
    Row(SERVERLESS, 201, v2("invalid", "partial write error (2 written)", line=2), Refused, [1]),
    Row(
        SERVERLESS,
        400,
        v2("invalid", "failed to parse line protocol: error parsing line 2 (1-based): x", line=2),
        Refused,
        [1],
    ),
    Row(SERVERLESS, 401, v2("unauthorized", "unauthorized access"), Halted),
    Row(SERVERLESS, 404, v2("not found", "bucket not found"), Halted),
    Row(
        SERVERLESS,
        413,
        v2("request too large", "all data in the request is outside the retention period"),
        Refused,
        EVERYBODY,
    ),
    Row(SERVERLESS, 413, v2("request too large", "cannot read data: points too large"), TooLarge),
    Row(
        SERVERLESS,
        422,
        v2("unprocessable entity", "data is outside of the retention period"),
        Refused,
    ),
    Row(SERVERLESS, 429, v2("too many requests", "x"), Deferred, retry_after="12", after_s=12.0),
    Row(SERVERLESS, 503, v2("unavailable", "x"), Deferred, retry_after="1", after_s=1.0),
    Row(PROXY, 202, "", Halted),
    Row(PROXY, 200, "", Halted),
    Row(PROXY, 200, "<html>Log in</html>", Halted),
    Row(PROXY, 206, "", Halted),
    Row(PROXY, 301, "", Halted),
    Row(PROXY, 400, "<html>The plain HTTP request was sent to HTTPS port</html>", Halted),
    Row(PROXY, 400, "Bad Request", Halted),
    Row(PROXY, 401, "<html>Authorization Required</html>", Halted),
    Row(PROXY, 402, "", Halted),
    Row(PROXY, 407, "", Halted),
    Row(PROXY, 411, "", Halted),
    Row(PROXY, 413, NGINX, TooLarge),
    Row(PROXY, 414, "", Halted),
    Row(PROXY, 422, "<html>Unprocessable</html>", Halted),
    Row(PROXY, 425, "", Deferred),
    Row(PROXY, 431, "", Halted),
    Row(PROXY, 451, "", Halted),
    Row(PROXY, 501, "", Halted),
    Row(PROXY, 502, "<html>Bad Gateway</html>", Deferred),
    Row(PROXY, 503, "<html>Service Unavailable</html>", Deferred, retry_after="x"),
    Row(PROXY, 504, "<html>Gateway Time-out</html>", Deferred),
    Row(PROXY, 505, "", Halted),
    Row(PROXY, 507, "", Deferred),
    Row(PROXY, 511, "<html>Log in</html>", Halted),
    Row(PROXY, 520, "error code: 520", Deferred),
    Row(PROXY, 524, "error code: 524", Deferred),
]


@pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row.product} {row.status} {row.body!s:.40}" for row in ROWS]
)
def test_each_answer_means_what_the_table_says(row: Row) -> None:
    body = row.body if isinstance(row.body, str) else json.dumps(row.body)
    headers = {"Retry-After": row.retry_after} if row.retry_after else {}
    receipt = judge(Answer(row.status, headers, body.encode()), NOW_NS / 1e9, LINES)
    assert isinstance(receipt, row.kind)
    if isinstance(receipt, Refused):
        assert sorted(receipt.guilty) == list(row.guilty)
        assert sorted(receipt.suspects) == list(row.suspects)
        assert receipt.status == row.status
        assert receipt.message
    elif isinstance(receipt, Deferred):
        assert receipt.after_s == row.after_s

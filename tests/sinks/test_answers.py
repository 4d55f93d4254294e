"""The table of answers: what each status and body means for the lines of a write."""

import json
from collections.abc import Mapping, Sequence

import pytest

from gateway.model import Deferred, Halted, Receipt, Refused, TooLarge
from gateway.sinks.answers import MESSAGE_CHARS_MAX, Answer, judge

NOW_NS = 1_720_000_000 * 10**9
GOOD = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(10)]


def answer(
    status: int,
    document: object = None,
    headers: Mapping[str, str] | None = None,
    lines: Sequence[bytes] = (),
) -> Receipt:
    body = document if isinstance(document, str) else json.dumps(document) if document else ""
    return judge(Answer(status, headers or {}, body.encode()), NOW_NS / 1e9, lines)


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 502, 503, 504, 507, 520, 599])
def test_passing_trouble_is_tried_again(status: int) -> None:
    receipt = answer(status, {"error": "engine: cache-max-memory-size exceeded"})
    assert isinstance(receipt, Deferred)
    assert receipt.problem == f"HTTP {status}: engine: cache-max-memory-size exceeded"


@pytest.mark.parametrize("status", [200, 202, 301, 302, 307, 308, 401, 402, 403, 404, 405, 415])
def test_what_only_the_operator_can_mend_halts(status: int) -> None:
    assert isinstance(answer(status, {"error": "words"}), Halted)
    assert isinstance(answer(status), Halted)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (400, {"error": "unable to parse 'm f': invalid field format"}),
        (400, {"error": "partial write: points beyond retention policy dropped=2"}),
        (400, {"error": "partial write: max-values-per-tag limit exceeded (5/5) dropped=1"}),
        (400, {"error": "unable to parse 'm precision=,org=,bucket=': missing field value"}),
        (400, {"error": "unable to parse 'm gzip=EOF': invalid boolean"}),
        (400, {"code": "invalid", "message": "partial write error (2 written)"}),
        (422, {"code": "unprocessable entity", "message": "partial write: dropped=4"}),
        (422, "Update to schema would exceed number of columns per table limit"),
        (201, {"code": "invalid", "message": "partial write error (2 written)"}),
        (400, {"code": "invalid", "message": "write buffer error: line protocol parse failed: x"}),
        (400, {"error": "some new complaint about a line"}),
    ],
)
def test_complaints_about_lines(status: int, document: object) -> None:
    receipt = answer(status, document)
    assert isinstance(receipt, Refused)
    assert receipt.status == status


@pytest.mark.parametrize(
    "document",
    [
        {"error": "database is required"},
        {"error": 'invalid consistency level "x"'},
        {"code": "invalid", "message": 'organization name "x" not found'},
        {"code": "invalid", "message": "invalid precision; valid precision units are ns, us, ms"},
        "<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>",
        "",
        "[" * 100_000,
        "[1, 2]",
        "null",
    ],
)
def test_a_400_that_is_not_about_lines_costs_no_line(document: object) -> None:
    assert isinstance(answer(400, document), Halted)


def test_a_new_database_that_is_not_allowed_halts() -> None:
    assert isinstance(answer(422, "Adding a new database would exceed limit of 5"), Halted)


@pytest.mark.parametrize(
    "message",
    [
        "write buffer error: error from wal: no space left",
        "EOF",
        "unexpected EOF",
        "gzip: invalid header",
    ],
)
def test_a_400_that_is_the_servers_own_trouble_is_tried_again(message: str) -> None:
    assert isinstance(answer(400, {"code": "invalid", "message": message}), Deferred)


@pytest.mark.parametrize(
    ("document", "guilty"),
    [
        (
            {
                "error": "partial write of line protocol occurred",
                "data": [
                    {"line_number": 2, "error_message": "bad", "original_line": "x"},
                    {"line_number": 5, "error_message": "worse", "original_line": "y"},
                ],
            },
            (1, 4),
        ),
        ({"error": "parsing failed", "data": {"line_number": 3, "error_message": "bad"}}, (2,)),
        ({"code": "invalid", "line": 2, "message": "error parsing line 2 (1-based): bad"}, (1,)),
        ({"error": "x", "data": [{"line_number": "2", "error_message": 7}, None, 3]}, ()),
        ({"error": "x", "data": [{"line_number": 0, "error_message": "x"}]}, ()),
    ],
)
def test_numbered_lines_are_named(document: object, guilty: tuple[int, ...]) -> None:
    receipt = answer(400, document, lines=GOOD)
    assert isinstance(receipt, Refused)
    assert tuple(receipt.guilty) == guilty


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("17", 17.0),
        ("86400", 600.0),
        ("Wed, 03 Jul 2024 09:47:10 GMT", 30.0),
        ("Wed, 03 Jul 2024 09:00:00 GMT", 0.0),
        ("Sun, 03 Jul 2044 09:47:10 GMT", 600.0),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("-99999999", None),
        ("1e9", None),
        ("1.5", None),
        ("nan", None),
        ("120, 120", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 600.0),
        ("Fri, 32 Dec 2024 23:59:59 GMT", None),
        ("Wed, 03 Jul 2024 09:47:10", 30.0),
        ("\x00", None),
        ("9" * 5000, 600.0),
        ("", None),
    ],
)
def test_retry_after_in_both_forms(text: str, seconds: float | None) -> None:
    receipt = answer(429, {"message": "slow down"}, {"Retry-After": text})
    assert isinstance(receipt, Deferred)
    assert receipt.after_s == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("17", 17.0), ("Wed, 03 Jul 2024 09:47:10 GMT", None)]
)
def test_without_a_time_of_day_the_date_of_retry_after_says_nothing(
    text: str, seconds: float | None
) -> None:
    receipt = judge(Answer(503, {"Retry-After": text}, b""), 42.0, [b"m f=1 5"])
    assert isinstance(receipt, Deferred)
    assert receipt.after_s == seconds


NEW_RETENTION = (
    "failure writing points to database: partial write: dropped 2 points outside retention policy"
    " of duration 8760h0m0s - oldest point m,device=a at 2022-05-09T10:22:00Z dropped because it"
    " violates a Retention Policy Lower Bound at 2025-03-05T16:34:57.686336708Z, newest point"
    " m,device=a at 2025-02-23T14:44:00Z dropped because it violates a Retention Policy Lower"
    " Bound at 2025-03-05T16:34:57.686336708Z dropped=2 for database: 91040e1bf6671dfd for"
    " retention policy: autogen"
)
"""As version 2.7 says it (bb-Ricardo/fritzinfluxdb#143)."""


def test_a_partial_write_that_version_2_0_calls_internal_is_not_tried_for_ever() -> None:
    """Seen in dojot/dojot#2216."""
    words = "unexpected error writing points to database: partial write: points beyond"
    document = {"code": "internal error", "message": f"{words} retention policy dropped=1"}
    receipt = answer(500, document, lines=GOOD[:1])
    assert isinstance(receipt, Refused)
    assert list(receipt.guilty) == [0]
    timeout = {"code": "internal error", "message": "unexpected error ...: timeout"}
    assert isinstance(answer(500, timeout), Deferred)


@pytest.mark.parametrize(
    ("status", "smaller"),
    [(408, True), (499, True), (500, True), (504, True), (425, False), (429, False), (503, False)],
)
def test_what_took_too_long_is_tried_with_less(status: int, *, smaller: bool) -> None:
    receipt = answer(status, "words")
    assert isinstance(receipt, Deferred)
    assert receipt.smaller == smaller


@pytest.mark.parametrize("status", [429, 503])
def test_a_quota_of_series_is_the_operators_business(status: int) -> None:
    document = {"code": "unavailable", "message": "max series cardinality limit reached"}
    assert isinstance(answer(status, document), Halted)


def test_data_that_is_all_too_old_is_no_matter_of_size() -> None:
    document = {"code": "x", "message": "all request data was outside the retention period"}
    receipt = answer(413, document, lines=GOOD)
    assert isinstance(receipt, Refused)
    assert len(receipt.guilty) == len(GOOD)
    page = "<html>413 Request Entity Too Large: all about retention</html>"
    assert isinstance(answer(413, page, lines=GOOD), TooLarge)
    assert answer(413, "max request size (10485760 bytes) exceeded") == TooLarge(
        "HTTP 413: max request size (10485760 bytes) exceeded"
    )


@pytest.mark.parametrize("status", [201, 400, 401, 403, 404, 405, 422, 200])
def test_a_page_costs_no_line_whatever_its_status(status: int) -> None:
    page = "\n<!DOCTYPE html><html><title>unable to parse your request</title></html>"
    assert isinstance(answer(status, page, lines=GOOD), Halted)


def test_an_answer_too_long_to_be_read_names_the_lines_of_its_beginning() -> None:
    bad = [b'm,device=\xc3\xa9 f="%d" x' % i for i in range(10_000)]
    words = "\n".join(f"unable to parse '{line.decode()}': bad timestamp" for line in bad)
    whole = json.dumps({"error": f"partial write: {words} dropped=0"})
    for size in (1_000, 1_001, 1_002, 1_003, 50_000):
        receipt = answer(400, whole[:size], lines=bad)
        assert isinstance(receipt, Refused)
        assert list(receipt.guilty) == list(range(len(receipt.guilty)))
        assert len(receipt.guilty) > size // 100
        assert receipt.guilty[0] == "unable to parse: bad timestamp"
    for cut in ('{"error":"database is requ', '{"error":"', "{", '{"a":"b","error":"some ne'):
        assert isinstance(answer(400, cut, lines=bad), Halted)


def test_any_beginning_of_any_answer_costs_nothing_unless_it_speaks_of_lines() -> None:
    documents = [
        {"error": "partial write: unable to parse 'm \"f\\': missing fields dropped=0"},
        {"code": "invalid", "message": "failed to parse line protocol: \u20ac", "line": 2},
        {"error": "partial write of line protocol occurred", "data": [{"error_message": "x"}]},
    ]
    for whole in map(json.dumps, documents):
        for size in range(len(whole)):
            receipt = answer(400, whole[:size], lines=GOOD)
            assert isinstance(receipt, Halted | Refused)
            assert isinstance(receipt, Halted) or not receipt.guilty


def test_messages_are_short_single_lines() -> None:
    receipt = answer(400, {"error": "unable to parse 'x\n" + "x" * 100_000})
    assert isinstance(receipt, Refused)
    assert len(receipt.message) == MESSAGE_CHARS_MAX
    assert "\n" not in receipt.message

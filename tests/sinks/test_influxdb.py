"""What each answer means for the lines; against strict simulated servers of all three versions."""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import ConfigError, TransportError
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.sinks.influxdb import (
    MESSAGE_CHARS_MAX,
    Answer,
    InfluxSink,
    InfluxTarget,
    judge,
)
from simulators.influxdb import Fault, Influx

NOW_NS = 1_720_000_000 * 10**9
VERSIONS = [1, 2, 3]
GOOD = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(10)]


def make_target(server: Influx) -> InfluxTarget:
    return InfluxTarget(
        server.version, server.url, database="sensors", org="home", bucket="sensors", timeout_s=5.0
    )


async def write(server: Influx, lines: list[bytes], **changes: object) -> Receipt:
    target = replace(make_target(server), **changes)  # type: ignore[arg-type]
    async with InfluxSink(target, lambda: NOW_NS) as sink:
        return await sink.write(lines)


def answer(
    status: int, document: object = None, headers: Mapping[str, str] | None = None
) -> Receipt:
    body = document if isinstance(document, str) else json.dumps(document) if document else ""
    return judge(Answer(status, headers or {}, body.encode()), now_s=NOW_NS / 1e9)


@pytest.mark.parametrize("version", VERSIONS)
async def test_good_lines_are_stored_as_they_are(version: int) -> None:
    async with Influx(version) as server:
        assert await write(server, GOOD) == Delivered()
        assert server.points == {
            ("m,device=a", NOW_NS + i): {"f": float(i)} for i in range(len(GOOD))
        }


@pytest.mark.parametrize("version", VERSIONS)
async def test_large_batches_travel_compressed(version: int) -> None:
    lines = [b"m,device=a f=%d.0 %d" % (i, NOW_NS + i) for i in range(5000)]
    async with Influx(version, body_bytes_max=100_000) as server:
        # Version 3 counts the inflated bytes, so it is given room for them below.
        expected = TooLarge if version == 3 else Delivered
        assert isinstance(await write(server, lines), expected)
    async with Influx(version) as server:
        assert await write(server, lines) == Delivered()
        assert len(server.points) == 5000


@pytest.mark.parametrize("version", VERSIONS)
async def test_names_are_quoted_in_the_address(version: int) -> None:
    name = "a b&c=d/é+%41"
    async with Influx(version, databases=(name,), org=name) as server:
        changes = {"database": name, "bucket": name, "org": name}
        assert await write(server, GOOD, **changes) == Delivered()


@pytest.mark.parametrize("version", VERSIONS)
async def test_credentials_open_the_door_and_wrong_ones_halt(version: int) -> None:
    async with Influx(version, token="s3cret", username="u", password="p:ä") as server:
        right = {"token": "s3cret", "username": "u", "password": "p:ä"}
        assert await write(server, GOOD, **right) == Delivered()
        wrong = {"token": "wrong", "username": "u", "password": "wrong"}
        for changes in (wrong, {}):
            receipt = await write(server, GOOD, **changes)
            assert isinstance(receipt, Halted)
            assert "401" in receipt.problem


def test_secrets_are_not_shown() -> None:
    shown = repr(InfluxTarget(2, "http://x", token="s3cret", password="hidden"))
    assert "s3cret" not in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    ("version", "status", "guilty", "stored"),
    [(1, 400, (), 2), (2, 400, (), 0), (3, 400, (1,), 2)],
)
async def test_a_line_that_cannot_be_parsed(
    version: int, status: int, guilty: tuple[int, ...], stored: int
) -> None:
    async with Influx(version) as server:
        receipt = await write(server, [GOOD[0], b"m f", GOOD[2]])
        assert isinstance(receipt, Refused)
        assert (receipt.status, receipt.guilty) == (status, guilty)
        assert "invalid field format" in receipt.message
        assert len(server.points) == stored


@pytest.mark.parametrize(
    ("version", "status", "guilty"), [(1, 400, ()), (2, 422, ()), (3, 400, (1,))]
)
async def test_a_line_whose_type_conflicts(
    version: int, status: int, guilty: tuple[int, ...]
) -> None:
    async with Influx(version) as server:
        assert await write(server, GOOD[:1]) == Delivered()
        receipt = await write(server, [GOOD[1], b'm f="text" %d' % NOW_NS, GOOD[2]])
        assert isinstance(receipt, Refused)
        assert (receipt.status, receipt.guilty) == (status, guilty)
        assert "already exists as type float" in receipt.message
        assert len(server.points) == 3


async def test_version_1_loses_no_good_line_to_a_conflict_in_a_new_shard() -> None:
    async with Influx(1) as server:
        receipt = await write(server, [GOOD[0], b'm f="text" %d' % NOW_NS, *GOOD[1:]])
        assert isinstance(receipt, Refused)
        assert receipt.message.startswith("partial write")
        assert len(server.points) == len(GOOD)


async def test_version_1_creates_its_database_where_it_may() -> None:
    name = 'it\'s "mine" \\ yours'
    async with Influx(1) as server:
        assert await write(server, GOOD, database=name) == Delivered()
        assert name in server.databases


async def test_missing_targets_halt() -> None:
    async with Influx(2) as server:
        for changes in ({"bucket": "nosuch"}, {"org": "nosuch"}):
            receipt = await write(server, GOOD, **changes)
            assert isinstance(receipt, Halted)
            assert "nosuch" in receipt.problem
    async with Influx(1) as server:
        receipt = await write(server, GOOD, retention_policy="nosuch")
        assert isinstance(receipt, Halted)
        assert "retention policy not found" in receipt.problem
        assert isinstance(await write(server, GOOD, database=""), Halted)


async def test_the_wrong_version_halts() -> None:
    for actual in VERSIONS:
        async with Influx(actual) as server:
            for claimed in set(VERSIONS) - {actual}:
                assert isinstance(await write(server, GOOD, version=claimed), Halted)


@pytest.mark.parametrize("version", VERSIONS)
async def test_too_large(version: int) -> None:
    async with Influx(version, body_bytes_max=100) as server:
        assert isinstance(await write(server, GOOD), TooLarge)


@pytest.mark.parametrize("status", [408, 425, 429, 499, 500, 502, 503, 504])
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
    receipt = answer(400, document)
    assert isinstance(receipt, Refused)
    assert receipt.guilty == guilty


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
    receipt = judge(Answer(503, {"Retry-After": text}, b""), now_s=42.0)
    assert receipt == Deferred("HTTP 503", after_s=seconds)


async def test_scripted_answers_arrive_as_such() -> None:
    html = "<html><body>nginx</body></html>"
    async with Influx(2) as server:
        server.faults.extend(
            [
                Fault(503, headers={"Retry-After": "9"}),
                Fault(200, html, {"Content-Type": "text/html"}),
                Fault(302, headers={"Location": "https://elsewhere.example/"}),
                Fault(413, html),
            ]
        )
        assert await write(server, GOOD) == Deferred("HTTP 503", after_s=9.0)
        assert await write(server, GOOD) == Halted("HTTP 200: nginx")
        redirected = await write(server, GOOD)
        assert redirected == Halted("HTTP 302 redirects to https://elsewhere.example/")
        assert isinstance(await write(server, GOOD), TooLarge)
        assert server.points == {}
        assert await write(server, GOOD) == Delivered()


@pytest.mark.parametrize("applied", [False, True])
async def test_a_cut_connection_defers_and_a_replay_stores_once(*, applied: bool) -> None:
    async with Influx(1) as server:
        server.faults.append(Fault(cut=True, applied=applied))
        assert isinstance(await write(server, GOOD), Deferred)
        assert await write(server, GOOD) == Delivered()
        assert len(server.points) == len(GOOD)


async def test_a_silent_server_defers_after_the_time_limit() -> None:
    async with Influx(2) as server:
        server.faults.append(Fault(delay_s=60.0))
        receipt = await write(server, GOOD, timeout_s=0.05)
        assert isinstance(receipt, Deferred)
        assert "no answer within 0.05 s" in receipt.problem


async def test_cancelling_a_write_does_not_wait_for_the_server() -> None:
    async with Influx(2) as server, InfluxSink(make_target(server), lambda: NOW_NS) as sink:
        server.faults.append(Fault(delay_s=60.0))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sink.write(GOOD)
        assert await sink.write(GOOD) == Delivered(), "the sink can be used again"


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no.such.host.invalid:8086"])
async def test_a_server_that_is_away_defers(url: str) -> None:
    target = InfluxTarget(1, url, database="x", timeout_s=5.0)
    async with InfluxSink(target, lambda: NOW_NS) as sink:
        assert isinstance(await sink.write(GOOD), Deferred)
        with pytest.raises(TransportError):
            await sink.ping()


async def test_messages_are_short_single_lines_without_credentials() -> None:
    receipt = answer(400, {"error": "unable to parse 'x\n" + "x" * 100_000})
    assert isinstance(receipt, Refused)
    assert len(receipt.message) == MESSAGE_CHARS_MAX
    assert "\n" not in receipt.message
    target = InfluxTarget(1, "http://me:s3cret@127.0.0.1:1", database="x")
    async with InfluxSink(target, lambda: NOW_NS) as sink:
        away = await sink.write(GOOD)
        assert isinstance(away, Deferred)
        assert "s3cret" not in away.problem


async def test_endless_answers_are_cut_off() -> None:
    async with Influx(1) as server:
        server.faults.append(Fault(500, "x" * 20_000_000))
        receipt = await write(server, GOOD)
        assert isinstance(receipt, Deferred)


async def test_the_log_of_the_process_is_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    async with Influx(1) as server:
        await write(server, [b"m f"])
    assert logging.getLogger().handlers == before


@pytest.mark.parametrize(("version", "said"), [(1, "1.6.7"), (2, "2.7.11"), (3, "3.4.0")])
async def test_ping_tells_the_version(version: int, said: str) -> None:
    async with Influx(version, token="t") as server:
        target = replace(make_target(server), token="t")
        async with InfluxSink(target, lambda: NOW_NS) as sink:
            assert await sink.ping() == said


async def test_ping_tells_who_refuses() -> None:
    async with Influx(3, token="t") as server, InfluxSink(make_target(server), int) as sink:
        with pytest.raises(TransportError, match="the request was not authenticated"):
            await sink.ping()


async def test_a_missing_certificate_file_is_the_operators_mistake(tmp_path: Path) -> None:
    target = InfluxTarget(2, "https://localhost", ca_file=str(tmp_path / "no.pem"))
    with pytest.raises(ConfigError, match=r"no\.pem"):
        async with InfluxSink(target, lambda: NOW_NS):
            pass


def test_a_token_of_two_lines_is_the_operators_mistake() -> None:
    with pytest.raises(ConfigError, match=r"influxdb\.token"):
        InfluxSink(InfluxTarget(2, "http://localhost", token="two\nlines"), lambda: NOW_NS)

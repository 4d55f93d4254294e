"""Requests and their answers on the wire, against strict simulated servers of three versions."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import ConfigError, TransportError
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
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


async def test_a_line_alone_is_not_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of it is final: it must not be about bytes harmed by a proxy's unpacking."""
    large = b'm f="%s" 5' % (b"x" * 5_000)
    monkeypatch.setattr("gateway.sinks.influxdb.gzip.compress", lambda *_, **__: b"harmed")
    async with Influx(1) as server:
        assert isinstance(await write(server, [large, *GOOD]), Deferred)
        assert await write(server, [large]) == Delivered()


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
    [(1, 400, [1], 2), (2, 400, [1], 0), (3, 400, [1], 2)],
)
async def test_a_line_that_cannot_be_parsed(
    version: int, status: int, guilty: list[int], stored: int
) -> None:
    async with Influx(version) as server:
        receipt = await write(server, [GOOD[0], b"m f", GOOD[2]])
        assert isinstance(receipt, Refused)
        assert (receipt.status, list(receipt.guilty)) == (status, guilty)
        assert "invalid field format" in receipt.message
        assert len(server.points) == stored


@pytest.mark.parametrize(
    ("version", "status", "guilty", "suspects"),
    [(1, 400, [], [1]), (2, 422, [], [1]), (3, 400, [1], [])],
)
async def test_a_line_whose_type_conflicts(
    version: int, status: int, guilty: list[int], suspects: list[int]
) -> None:
    async with Influx(version) as server:
        assert await write(server, GOOD[:1]) == Delivered()
        receipt = await write(server, [GOOD[1], b'm f="text" %d' % NOW_NS, GOOD[2]])
        assert isinstance(receipt, Refused)
        assert (receipt.status, list(receipt.guilty)) == (status, guilty)
        assert list(receipt.suspects) == suspects
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


@pytest.mark.parametrize("host", ["influx..home", 70 * "x"])
async def test_a_name_that_no_host_can_have_halts(host: str) -> None:
    sink = InfluxSink(InfluxTarget(2, f"http://{host}:8086", org="o", bucket="b"), lambda: 0)
    async with sink:
        receipt = await sink.write(GOOD)
        assert isinstance(receipt, Halted)
        assert host in receipt.problem
        with pytest.raises(TransportError, match="label"):
            await sink.ping()


async def test_a_problem_is_told_without_credentials() -> None:
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

"""Every row of the table of write answers that is about the world, on a real InfluxDB 1.x.

Nothing of it may cost a line: whatever goes wrong is waited for or halts, and once it is mended
each line is stored, once.
"""

import asyncio
import gzip
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.delivery import State
from gateway.model import Deferred, Delivered, Halted, Refused, TooLarge
from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from tests.deliveries import LIMIT_S, NOW_NS, OneBatch, deliver, delivering, lines, noisy, until
from tests.integration.influxd import Influxd, count, needs_influxd, sink_of

pytestmark = [pytest.mark.integration, needs_influxd]

compress = gzip.compress


def post(server: Influxd, path: str, body: bytes, **headers: str) -> tuple[int, str, str]:
    """Status, content type and text of an answer, with nothing of the gateway between."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=LIMIT_S)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get_content_type(), answer.read().decode()
    finally:
        connection.close()


# The request as such


async def test_a_request_without_a_database_halts(influxd: Influxd) -> None:
    async with sink_of(influxd, "") as sink:
        assert await sink.write(lines(1)) == Halted("HTTP 400: database is required")


async def test_a_bad_consistency_level_halts(influxd: Influxd) -> None:
    async with sink_of(influxd, "consistency") as sink:
        assert await sink.write(lines(1)) == Delivered()
        sink._parameters.append(("consistency", "nosuch"))
        assert await sink.write(lines(1)) == Halted("HTTP 400: invalid consistency level")


async def test_an_unknown_retention_policy_halts_until_it_exists(influxd: Influxd) -> None:
    """It is called an internal error (500)."""
    influxd.query("CREATE DATABASE later")
    target = InfluxTarget(1, influxd.url, database="later", retention_policy="long")
    spool = OneBatch(lines(100))
    async with InfluxSink(target, time.time_ns) as sink:
        async with delivering(spool, sink) as delivery:
            await until(lambda: delivery.state == State.HALTED)
            assert delivery.problem == "HTTP 500: retention policy not found: long"
            influxd.query('CREATE RETENTION POLICY "long" ON later DURATION INF REPLICATION 1')
            await spool.settled.wait()
        assert spool.dead == []
        rows = await sink.query_v1('SELECT count("f") FROM "long"."m"')
        assert rows[0]["count"] == 100


async def test_a_database_that_is_dropped_is_created_again(influxd: Influxd) -> None:
    async with sink_of(influxd, "dropped") as sink:
        assert await sink.write(lines(3)) == Delivered()
        influxd.query("DROP DATABASE dropped")
        assert await sink.write(lines(5)) == Delivered()
        assert await count(sink) == 5


@pytest.mark.parametrize(
    ("precision", "factor"),
    [("n", 1), ("ns", 1), ("u", 1_000), ("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)],
)
async def test_precisions_are_as_documented(influxd: Influxd, precision: str, factor: int) -> None:
    influxd.query(f"CREATE DATABASE p{precision}")
    path = f"/write?db=p{precision}&precision={precision}"
    assert post(influxd, path, b"m f=1 5")[0] == 204
    assert influxd.query("SELECT f FROM m", f"p{precision}") == [{"time": 5 * factor, "f": 1}]


@pytest.mark.parametrize("precision", ["us", "S", "rfc3339", "xx"])
async def test_other_precisions_would_be_taken_for_nanoseconds(
    influxd: Influxd, precision: str
) -> None:
    """Which is why the sink says `ns`, always."""
    influxd.query(f"CREATE DATABASE q{precision}")
    assert post(influxd, f"/write?db=q{precision}&precision={precision}", b"m f=1 5")[0] == 204
    assert influxd.query("SELECT f FROM m", f"q{precision}") == [{"time": 5, "f": 1}]
    async with sink_of(influxd, f"q{precision}") as sink:
        assert ("precision", "ns") in sink._parameters


async def test_what_other_paths_and_methods_answer(influxd: Influxd) -> None:
    """Somebody else's address, or a base path too much, halts and is told."""
    connection = http.client.HTTPConnection(influxd.url.removeprefix("http://"))
    connection.request("GET", "/write")
    assert connection.getresponse().status == 405
    connection.close()
    for path in ("/health", "/api/v2/write", "/api/v3/write_lp", "/"):
        assert post(influxd, path, b"m f=1")[::2] == (404, "404 page not found\n")
    target = InfluxTarget(1, f"{influxd.url}/influx", database="d")
    async with InfluxSink(target, time.time_ns) as sink:
        assert await sink.write(lines(1)) == Halted("HTTP 404: 404 page not found")


# Compression


async def test_compressed_bodies_of_one_and_several_members(influxd: Influxd) -> None:
    influxd.query("CREATE DATABASE zipped")
    for body in (
        gzip.compress(b"m f=1 1"),
        gzip.compress(b"m f=1 2\n") + gzip.compress(b"m f=1 3"),
    ):
        answer = post(influxd, "/write?db=zipped", body, **{"Content-Encoding": "gzip"})
        assert answer[0] == 204
    assert len(influxd.query("SELECT f FROM m", "zipped")) == 3
    strange = {"Content-Encoding": "br", "Content-Type": "image/png"}
    assert post(influxd, "/write?db=zipped", b"m f=1 4", **strange)[0] == 204


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda body, *_, **__: body, "gzip: invalid header"),
        (lambda body, *_, **__: compress(body)[:-30], "unexpected EOF"),
        (lambda *_, **__: b"", "EOF"),
    ],
)
async def test_a_body_harmed_on_its_way_is_sent_again(
    influxd: Influxd, monkeypatch: pytest.MonkeyPatch, harm: Callable[..., bytes], words: str
) -> None:
    spool = OneBatch(lines(200))
    async with sink_of(influxd, f"harmed{len(words)}") as sink:
        assert await sink.write([b"m2 f=1 1"]) == Delivered()
        with monkeypatch.context() as patch:
            patch.setattr("gateway.sinks.influxdb.gzip.compress", harm)
            async with delivering(spool, sink) as delivery:
                await until(lambda: delivery.state == State.WAITING)
                assert delivery.problem == f"HTTP 400: {words}"
                patch.undo()
                await spool.settled.wait()
        assert (await count(sink), spool.dead) == (200, [])


async def test_a_compressed_body_whose_header_is_lost_costs_no_line(influxd: Influxd) -> None:
    """Then the server cannot parse a line of binary. Small parts are not compressed."""
    spool = OneBatch(lines(200))
    async with sink_of(influxd, "headless") as sink:
        call = sink._call

        async def without(
            method: str,
            path: str,
            parameters: list[tuple[str, str]],
            headers: dict[str, str],
            body: bytes,
            *rest: int,
        ) -> object:
            kept = {key: value for key, value in headers.items() if key != "Content-Encoding"}
            return await call(method, path, parameters, kept, body, *rest)

        sink._call = without  # type: ignore[method-assign, assignment]
        assert isinstance(await sink.write(lines(200)), Refused)
        await deliver(spool, sink)
        assert (await count(sink), spool.dead) == (200, [])


# Size and load


async def test_the_limit_counts_compressed_bytes(tmp_path: Path) -> None:
    with Influxd(tmp_path, body_bytes_max=10_000) as server:
        server.query("CREATE DATABASE size")
        async with sink_of(server, "size") as sink:
            assert len(b"\n".join(lines(5_000))) > 100_000
            monotone = [b"m f=1 %d" % (NOW_NS + i * 10**9) for i in range(1_000)]
            assert len(b"\n".join(monotone)) > 25_000
            assert await sink.write(monotone) == Delivered()
            refused = await sink.write(noisy(1_000))
            assert refused == TooLarge("HTTP 413: Request Entity Too Large")


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_an_answer_before_the_upload_is_finished_is_heard(tmp_path: Path) -> None:
    """413 and 401 come before the body is read; with 4 MB under way the status still arrives."""
    large = noisy(100_000)
    with Influxd(tmp_path, body_bytes_max=10_000, auth=True) as server:
        server.query("CREATE USER root WITH PASSWORD 'pw' WITH ALL PRIVILEGES")
        server.query("CREATE DATABASE d", "", "root", "pw")
        target = InfluxTarget(1, server.url, database="d", username="root", password="pw")
        async with InfluxSink(target, time.time_ns) as sink:
            for _ in range(3):
                assert isinstance(await sink.write(large), TooLarge)
        async with sink_of(server, "d") as sink:
            for _ in range(3):
                receipt = await sink.write(large)
                assert isinstance(receipt, Halted)
                assert "401" in receipt.problem


def occupy(server: Influxd, database: str) -> socket.socket:
    """Begin an upload that holds a place for a write until it is closed."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    head = f"POST /write?db={database} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n"
    connection.sendall(head.encode() + b"m f=1 ")
    return connection


async def test_a_throttled_write_is_waited_for(tmp_path: Path) -> None:
    limits = "max-concurrent-write-limit = 1\nmax-enqueued-write-limit = 1"
    with Influxd(tmp_path, http=f'{limits}\nenqueued-write-timeout = "300ms"') as server:
        server.query("CREATE DATABASE busy")
        spool = OneBatch(lines(50))
        async with sink_of(server, "busy") as sink, sink_of(server, "busy") as other:
            with occupy(server, "busy"):
                await asyncio.sleep(0.1)
                waiting, crowded = await asyncio.gather(sink.write(lines(1)), other.write(lines(1)))
                problems = {waiting.problem, crowded.problem}  # type: ignore[union-attr]
                assert problems == {
                    "HTTP 503: request throttled, exceeds timeout",
                    "HTTP 503: request throttled, queue full",
                }
                async with delivering(spool, sink) as delivery:
                    await until(lambda: delivery.state == State.WAITING)
            async with delivering(spool, sink):
                await spool.settled.wait()
            assert (await count(sink), spool.dead) == (50, [])


async def test_a_full_cache_is_waited_for_and_a_batch_larger_than_it_is_halved(
    tmp_path: Path,
) -> None:
    """The whole batch would be refused for ever: its parts fit, one after the other."""
    cache = "cache-max-memory-size = 200000\ncache-snapshot-memory-size = 50000"
    spool = OneBatch(noisy(20_000))
    with Influxd(tmp_path, data=cache) as server:
        async with sink_of(server, "cache") as sink:
            receipt = await sink.write(noisy(20_000))
            assert isinstance(receipt, Deferred)
            assert receipt.problem.startswith("HTTP 500: engine: cache-max-memory-size exceeded")
            async with delivering(spool, sink):
                await spool.settled.wait()
            assert (await count(sink), spool.dead) == (20_000, [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """16 MiB of a file system of its own."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("this machine cannot mount a small file system: that takes root")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)  # noqa: S607


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_of_the_server_is_waited_for(small_disk: Path) -> None:
    spool = OneBatch(noisy(2_000))
    with Influxd(small_disk) as server:
        async with sink_of(server, "disk") as sink:
            assert await sink.write([b"m2 f=1 1"]) == Delivered()
            filler = small_disk / "filler"
            fill(filler)
            async with delivering(spool, sink) as delivery:
                await until(lambda: delivery.state == State.WAITING)
                assert "HTTP 500" in delivery.problem
                assert "no space left on device" in delivery.problem
                filler.unlink()
                await spool.settled.wait()
            assert (await count(sink), spool.dead) == (2_000, [])
            server.kill()
            server.start()
            (row,) = server.query('SELECT count("f") FROM "m"', "disk")
            assert row["count"] == 2_000, "what was settled is on the server's disk"

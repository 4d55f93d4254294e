"""A long outage for real: the spool fills to its bound, and drains while live data goes on.

`rate` QoS 1 messages a second, and a serial port, while InfluxDB is away: until `max_bytes` are
taken (24 hours at 10 a second are 864,000 readings of about 110 bytes). Sampled all the time: file
and log together never exceed the bound, and memory stays where it was. Then InfluxDB returns, and
everything must get there. How fast it drains is compared with bare POSTs of the same bytes to the
same server, under the same live load.
"""

import gzip
import http.client
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from gateway.console.status import Status
from tests.integration.influxd import Influxd
from tests.integration.mosquitto import running
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.integration.talker import Talker
from tests.load import table
from tests.load.publisher import Publisher

LOOK_S = 0.2
SAMPLE_S = 0.02
FULL_S = 5.0
PATIENCE_S = 7200.0
MEMORY_KIB = 32 * 1024
BATCH_BYTES = 500_000
GZIP_LEVEL = 1
LINE_S = 0.02
DRAINED_S = 3.0
"""What live data brings in so long may wait when the backlog is drained."""
BARE = "bare"


Work = Callable[[threading.Event], None]


class Watch:
    """Samples file and log, and how late live points are in InfluxDB."""

    def __init__(self, data_dir: Path, influxd: Influxd | None, hush: Callable[[], None]) -> None:
        self._files = [data_dir / f"spool.db{suffix}" for suffix in ("", "-wal")]
        self._influxd = influxd
        self.hush = hush
        """Ends the serial port's talk."""
        self.most_bytes = 0
        self.samples = 0
        self.late_s: list[float] = []
        """Of the serial port's points, as far as they are new: an upper bound each."""

    @contextmanager
    def sizes(self) -> Iterator[None]:
        with self._thread(self._sample):
            yield

    @contextmanager
    def lateness(self) -> Iterator[None]:
        with self._thread(self._look):
            yield

    @contextmanager
    def _thread(self, work: Work) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=work, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _sample(self, ended: threading.Event) -> None:
        while not ended.wait(SAMPLE_S):
            size = 0
            for file in self._files:
                with suppress(FileNotFoundError):
                    size += file.stat().st_size
            self.most_bytes = max(self.most_bytes, size)
            self.samples += 1

    def _look(self, ended: threading.Event) -> None:
        assert self._influxd is not None
        newest_ns = time.time_ns()
        while not ended.wait(SAMPLE_S):
            query = (
                'SELECT "sequence" FROM "sensor" WHERE "device" = \'port\''  # noqa: S608 -- numbers
                f" AND time > {newest_ns}"
            )
            rows = self._influxd.query(query, DATABASE)
            now_ns = time.time_ns()
            times = [int(str(row["time"])) for row in rows]
            self.late_s += [(now_ns - at_ns) / 1e9 for at_ns in times]
            newest_ns = max([newest_ns, *times])


def run(folder: Path, rate: int, max_bytes: str) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    talker = Talker(LINE_S)
    with (
        running(folder / "broker", "max_inflight_messages 1000", *LOG_SUBSCRIPTIONS) as broker,
        Influxd(folder) as influxd,
        talker.talking(),
    ):
        for name in (DATABASE, BARE):
            influxd.query(f'CREATE DATABASE "{name}"')
        gateway = GatewayProcess(folder)
        gateway.configure(
            f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{broker.port}"\n'
            "broker_window = 1000\n"
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]\n'
            f'[[serial]]\nname = "port"\nport = "{talker.port}"\ndecoder = "text"',
            influxdb=influxd.url,
            timeout="10s",
            spool=f'max_bytes = "{max_bytes}"',
        )
        watch = Watch(gateway.data_dir, influxd, talker.hush)
        with gateway.running(), watch.sizes():
            gateway.await_connected()
            await_subscription(broker)
            fine, report = _outage(gateway, influxd, Publisher(broker.port, rate), watch, rate)
    limit = size_of(max_bytes)
    report = {
        "the spool's bound": f"{max_bytes}; at most {watch.most_bytes / limit:.3f} of it were"
        f" taken, in {watch.samples} samples",
        **report,
    }
    if watch.most_bytes > limit:
        fine = False
    return fine, table(report)


def _outage(
    gateway: GatewayProcess, influxd: Influxd, publisher: Publisher, watch: Watch, rate: int
) -> tuple[bool, dict[str, str]]:
    """From the beginning of the outage to the last reading."""
    start_kib = gateway.memory_kib()
    influxd.stop()
    publisher.start()
    begun = time.monotonic()
    gateway.await_status("full", _is_full, PATIENCE_S, LOOK_S)
    filled_s = time.monotonic() - begun
    time.sleep(FULL_S)
    full = gateway.await_status("running", lambda _: True)
    full_kib = gateway.memory_kib("VmHWM")
    backlog = _copy(gateway.data_dir / "spool.db")
    influxd.start()
    gateway.await_status("delivering", lambda s: _delivered(s) > 0, PATIENCE_S, LOOK_S)
    with watch.lateness():
        started = time.monotonic()
        drained = gateway.await_status(
            "drained", lambda s: _is_drained(s, rate), PATIENCE_S, LOOK_S
        )
        took_s = time.monotonic() - started
    late_s = sorted(watch.late_s)
    bare_s, size = _post(influxd.url, backlog)
    publisher.stop()
    watch.hush()
    status = gateway.await_status("at rest", at_rest, PATIENCE_S, LOOK_S)
    most_kib = gateway.memory_kib("VmHWM")
    counts = status["ledger"]["sources"]["load"]["counts"]
    rows = influxd.query(
        'SELECT count("sequence") FROM "sensor" WHERE "device" != \'port\'', DATABASE
    )
    stored = int(str(rows[0]["count"]))
    pending, lines = full["ledger"]["lines"]["pending"], status["ledger"]["lines"]
    speed = _delivered(drained) / took_s
    bare = pending / bare_s
    fine = (
        stored == len(publisher.acknowledged) == counts["spooled"]
        and lines["dead"] == lines["corrupt"] == lines["evicted"] == 0
        and most_kib - start_kib < MEMORY_KIB
    )
    line_bytes = size / pending
    return fine, {
        "until it was full": f"{filled_s:.0f} s, {pending} lines of {line_bytes:.0f} bytes",
        "memory: before, full, at most": f"{start_kib / 1024:.1f} MiB, {full_kib / 1024:.1f} MiB,"
        f" {most_kib / 1024:.1f} MiB",
        "drained, live data included": f"{_delivered(drained)} lines in {took_s:.1f} s,"
        f" {speed:.0f} lines/s, {speed * line_bytes / 1e6:.2f} MB/s",
        "bare POSTs of the same bytes": f"{bare:.0f} lines/s, {bare * line_bytes / 1e6:.2f} MB/s,"
        f" one after the other, gzip",
        "  the drain's speed beside that": f"{speed / bare:.2f}",
        "live data while it drained: p50, p99, max": f"{late_s[len(late_s) // 2]:.2f} s,"
        f" {late_s[len(late_s) * 99 // 100]:.2f} s, {late_s[-1]:.2f} s of {len(late_s)} points",
        "messages the broker acknowledged": f"{len(publisher.acknowledged)}, {stored} stored",
        "serial lines shed while it was full": f"{_shed(status)}",
    }


def _is_full(status: Status) -> bool:
    return not status["store"]["has_room"]


def _is_drained(status: Status, rate: float) -> bool:
    """Only what live data brings is left."""
    return (
        status["ledger"]["lines"]["pending"] < DRAINED_S * rate
        and status["ledger"]["sources"]["load"]["connected"]
    )


def _delivered(status: Status) -> int:
    return status["ledger"]["lines"]["delivered"]


def _shed(status: Status) -> int:
    return status["ledger"]["sources"]["port"]["counts"]["shed"]


def _copy(path: Path) -> list[bytes]:
    """The waiting lines as requests of BATCH_BYTES."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        bodies = [bytes(body) for (body,) in db.execute("SELECT body FROM rows ORDER BY seq")]
    requests: list[bytes] = []
    batch: list[bytes] = []
    size = 0
    for body in bodies:
        if batch and size + len(body) > BATCH_BYTES:
            requests.append(b"\n".join(batch))
            batch, size = [], 0
        batch.append(body)
        size += len(body) + 1
    return [*requests, b"\n".join(batch)]


def _post(url: str, requests: list[bytes]) -> tuple[float, int]:
    """Seconds for all of them, one after the other on one connection; and their bytes."""
    address = urlsplit(url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port)) as connection:
        started = time.monotonic()
        for lines in requests:
            body = gzip.compress(lines, GZIP_LEVEL, mtime=0)
            headers = {"Content-Encoding": "gzip"}
            connection.request("POST", f"/write?db={BARE}&precision=ns", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == http.client.NO_CONTENT, answer.status
        return time.monotonic() - started, sum(len(lines) + 1 for lines in requests)


def size_of(size: str) -> int:
    """The bytes that a size in MiB stands for."""
    assert size.endswith("MiB")
    return int(size.removesuffix("MiB")) * 1024 * 1024

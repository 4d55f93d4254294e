"""`kill -9` of the gateway, again and again, under load; then of the broker.

A device publishes without a pause, and what the broker acknowledged to it is compared with what
InfluxDB has. The gateway is killed at moments drawn from a seed: while it starts, at the first
messages, while it commits, during a request to InfluxDB and right after the answer, or at any
time; it is started again at once. `Tap` hears what goes between broker and gateway, so that a
difference has a culprit.

mosquitto writes its sessions to the disk every `autosave_interval` (here a second). So killed it
forgets messages that it had acknowledged, and remembers ones that the gateway had acknowledged.
That is reported, and not the gateway's fault: what the gateway has acknowledged must be in
InfluxDB, and what comes again must be recognized wherever it can be.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.integration.influxd import Influxd
from tests.integration.mosquitto import Mosquitto
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.load import table
from tests.load.findings import Findings, Published, compare, read_points, summarize
from tests.load.publisher import Publisher
from tests.load.tap import Tap, Wire

START_S = 1.3
"""About what the gateway takes to be there."""
WORK_S = (0.2, 2.0)
MOMENT_S = 5.0
"""A moment that does not come within this is now."""
LOOK_S = 0.0005
PATIENCE_S = 120.0
QUIET_S = 2.0
AHEAD = 1.05
"""The device publishes a little faster than asked, so that the rate is never below it."""
STRETCH_S = 10


@dataclass(frozen=True, slots=True)
class Site:
    """The gateway between two wires, its broker and its database."""

    broker: Mosquitto
    tap: Tap
    influxd: Influxd
    wire: Wire
    gateway: GatewayProcess


def run(
    folder: Path, *, kills: int, broker_kills: int, rate: int, seed: int, protocol: str
) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    rng = random.Random(seed)
    with site(folder, protocol=protocol, window=1000) as place:
        fine, report = kill_gateway(place, kills, rate, rng)
        if broker_kills:
            well, more = kill_broker(place, broker_kills, rate, rng)
            fine, report = fine and well, [*report, "", *more]
    return fine, [f"seed {seed}, MQTT {protocol}", *report]


@contextmanager
def site(folder: Path, *, protocol: str, window: int) -> Iterator[Site]:
    """Everything runs and is connected."""
    with ExitStack() as stack:
        influxd = stack.enter_context(Influxd(folder))
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        wire = stack.enter_context(Wire(int(influxd.url.rpartition(":")[2])))
        broker = Mosquitto(
            folder / "broker",
            f"max_inflight_messages {window}",
            "autosave_interval 1",
            *LOG_SUBSCRIPTIONS,
        )
        stack.callback(broker.kill)
        broker.start()
        tap = stack.enter_context(Tap(broker.port))
        gateway = GatewayProcess(folder)
        gateway.configure(
            f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{tap.port}"\n'
            f'protocol = "{protocol}"\nbroker_window = {window}\n'
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]',
            influxdb=f"http://127.0.0.1:{wire.port}",
        )
        stack.enter_context(gateway.running())
        gateway.await_connected()
        await_subscription(broker)
        yield Site(broker, tap, influxd, wire, gateway)


def kill_gateway(
    place: Site, kills: int, rate: float, rng: random.Random
) -> tuple[bool, list[str]]:
    """Kill the gateway so often; whether nothing is lost or twice, and a report."""
    moments = Moments(place, rng)
    drawn: Counter[str] = Counter()
    with publishing(place, rate) as publisher:
        started = time.monotonic()
        for _ in range(kills):
            drawn[moments.await_one()] += 1
            place.gateway.kill()
            place.gateway.start()
        took_s = time.monotonic() - started
    findings = judge(place, publisher)
    count = len(publisher.acknowledged)
    pace = count / publisher.lasted_s
    times = ", ".join(f"{name} {count}" for name, count in sorted(drawn.items()))
    duplicates = sum(delivery.duplicate for delivery in place.tap.deliveries)
    report = {
        "kill -9 of the gateway": f"{kills} in {took_s:.0f} s, {kills / took_s:.2f} per second",
        "  when": times,
        "messages the broker acknowledged": f"{count}, {pace:.0f} per second,"
        f" {publisher.slowest(STRETCH_S):.0f} in the slowest {STRETCH_S} s",
        "  missing in InfluxDB": f"{len(findings.gone)}",
        "  twice in InfluxDB": f"{len(findings.stored_twice)}",
        "  with other values": f"{len(findings.altered)}",
        "handed over again by the broker": f"{duplicates}",
        "  on disk before, and recognized": f"{findings.recognized}",
    }
    faults = findings.faults()
    if findings.gone or findings.stored_twice:
        faults.append(f"gone {findings.gone[:5]}, twice {findings.stored_twice[:5]}")
    if pace < rate:
        faults.append(f"the device published {pace:.0f} per second only")
    return not faults, table(report) + faults


def kill_broker(place: Site, kills: int, rate: float, rng: random.Random) -> tuple[bool, list[str]]:
    """Kill the broker so often; whether the gateway did nothing wrong, and a report."""
    with publishing(place, rate) as publisher:
        started = time.monotonic()
        for _ in range(kills):
            time.sleep(rng.uniform(*WORK_S))
            connection = place.tap.connections
            place.broker.kill()
            time.sleep(rng.uniform(0, 0.5))
            place.broker.start()
            await_work(place, connection, PATIENCE_S)
        took_s = time.monotonic() - started
    findings = judge(place, publisher)
    count = len(publisher.acknowledged)
    report = {
        "kill -9 of the broker": f"{kills} in {took_s:.0f} s",
        "messages the broker acknowledged": f"{count}",
        "  acknowledged by the gateway, and gone": f"{len(findings.lost)}",
        "  twice, and could have been recognized": f"{len(findings.twice)}",
        "  with other values": f"{len(findings.altered)}",
        "  came again, on disk before, recognized": f"{findings.recognized}",
        "gone with the broker": f"{len(findings.gone) - len(findings.lost)}",
        **summarize(findings),
    }
    faults = findings.faults()
    return not faults, table(report) + faults


@contextmanager
def publishing(place: Site, rate: float) -> Iterator[Publisher]:
    """The device publishes during the block; at the end all is delivered.

    Numbers go on where the last device ended.
    """
    first = max((delivery.number for delivery in place.tap.deliveries), default=-1) + 1
    publisher = Publisher(place.broker.port, AHEAD * rate, first=first)
    publisher.start()
    yield publisher
    publisher.stop()
    gateway = place.gateway
    gateway.await_status("at rest", lambda status: at_rest(status) and settled(place), PATIENCE_S)


def settled(place: Site) -> bool:
    """Nothing has come from the broker for a while, and everything is acknowledged."""
    deliveries = place.tap.deliveries
    is_quiet = time.time_ns() - deliveries[-1].at_ns > QUIET_S * 1e9
    return is_quiet and place.tap.is_connected and not place.tap.waiting


def judge(place: Site, publisher: Publisher) -> Findings:
    """What became of the device's readings."""
    points = read_points(place.influxd)
    published = Published(publisher.numbers, publisher.acknowledged, publisher.again)
    return compare(published, place.tap.deliveries, place.tap.acknowledged, points)


def await_work(place: Site, connection: int, patience_s: float) -> None:
    """Until messages are acknowledged, on a later connection than that one."""
    tap = place.tap
    _await(lambda: tap.connections > connection and tap.acknowledgements > 0, patience_s)


class Moments:
    """When to kill, after a start."""

    def __init__(self, place: Site, rng: random.Random) -> None:
        self._place = place
        self._rng = rng
        self._moments: dict[str, Callable[[], None]] = {
            "starting": self._starting,
            "first messages": self._first_messages,
            "commit": self._commit,
            "request": self._request,
            "answer": self._answer,
            "any time": self._any_time,
        }

    def await_one(self) -> str:
        """Wait for one of them; its name."""
        name = self._rng.choice(list(self._moments))
        self._moments[name]()
        return name

    def _starting(self) -> None:
        time.sleep(self._rng.uniform(0, START_S))

    def _first_messages(self) -> None:
        seen = len(self._place.tap.deliveries)
        _await(lambda: len(self._place.tap.deliveries) > seen, MOMENT_S)
        time.sleep(self._rng.uniform(0, 0.05))

    def _commit(self) -> None:
        """Right after the log has grown."""
        self._work()
        log = Path(f"{self._place.gateway.data_dir}/spool.db-wal")
        before = _stamp(log)
        _await(lambda: _stamp(log) != before, MOMENT_S)
        time.sleep(self._rng.uniform(0, 0.003))

    def _request(self) -> None:
        self._work()
        self._place.wire.heard.clear()
        self._place.wire.heard.wait(MOMENT_S)
        time.sleep(self._rng.uniform(0, 0.02))

    def _answer(self) -> None:
        self._work()
        self._place.wire.answered.clear()
        self._place.wire.answered.wait(MOMENT_S)
        time.sleep(self._rng.uniform(0, 0.003))

    def _any_time(self) -> None:
        self._work()
        time.sleep(self._rng.uniform(*WORK_S))

    def _work(self) -> None:
        """Until messages are acknowledged, and a little longer."""
        connection = self._place.tap.connections
        _await(
            lambda: (
                self._place.tap.connections > connection and self._place.tap.acknowledgements > 0
            ),
            MOMENT_S,
        )
        time.sleep(self._rng.uniform(0, 0.3))


def _await(condition: Callable[[], bool], patience_s: float) -> None:
    """Until then, or as long as patience lasts: the end shows what it was good for."""
    deadline = time.monotonic() + patience_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(LOOK_S)


def _stamp(path: Path) -> int:
    """When the file was changed; 0 where it is not."""
    return path.stat().st_mtime_ns if path.exists() else 0

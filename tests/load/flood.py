"""One broker connection floods the gateway; another one and ten serial ports do not notice.

The flood is QoS 0, encoded beforehand, on a broker of its own; the broker drops what the gateway
does not read in time, which is its right. The others (QoS 1 on another broker, and serial lines)
must be on disk as soon as ever: none is shed, none is lost, and the 99th percentile of arrival to
commit stays below COMMIT_S for each of them.
"""

import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.console.status import Status
from tests.integration.influxd import Influxd
from tests.integration.mosquitto import Mosquitto, running
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    LatencyMark,
    at_rest,
    await_subscription,
)
from tests.integration.talker import Talker
from tests.load import table
from tests.load.publisher import Publisher
from tests.load.wire import CHUNK, flood, packets

PORTS = 10
LINE_S = 0.1
CALM_RATE = 200
COMMIT_S = 1.0
WARM_S = 3.0
LOOK_S = 0.25
PATIENCE_S = 600.0


def run(folder: Path, seconds: float, rate: int) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    with ExitStack() as stack:
        flooded, calm = (
            stack.enter_context(running(folder / name, *settings, *LOG_SUBSCRIPTIONS))
            for name, settings in (("flood", ("max_queued_messages 1000",)), ("calm", ()))
        )
        influxd = stack.enter_context(Influxd(folder))
        talkers = [Talker(LINE_S) for _ in range(PORTS)]
        gateway = stack.enter_context(_gateway(folder, influxd, flooded, calm, talkers))
        publisher = Publisher(calm.port, CALM_RATE)
        for talker in talkers:
            stack.enter_context(talker.talking())
        publisher.start()
        time.sleep(WARM_S)
        before = gateway.await_status("running", lambda _: True)
        sent, looks = _watch(gateway, flooded.port, packets(rate, 0), rate, seconds)
        after = gateway.await_status("running", lambda _: True)
        publisher.stop()
        for talker in talkers:
            talker.hush()
        status = gateway.await_status("delivered", at_rest, PATIENCE_S, LOOK_S)
        memory_kib = gateway.memory_kib("VmHWM")
        stored = _count(influxd, "calm")
    return _judge(before, after, status, sent, looks, memory_kib, seconds, publisher, stored)


def _judge(
    before: Status,
    after: Status,
    status: Status,
    sent: int,
    looks: Sequence[float],
    memory_kib: int,
    seconds: float,
    publisher: Publisher,
    stored: int,
) -> tuple[bool, list[str]]:
    others = [name for name in after["ledger"]["sources"] if name.startswith(("calm", "port"))]
    latencies = {name: _p99_s(before, after, name) for name in others}
    shed = sum(status["ledger"]["sources"][name]["counts"]["shed"] for name in others)
    flood_counts = status["ledger"]["sources"]["flood"]["counts"]
    taken = flood_counts["frames"]
    ports = {name: s for name, s in latencies.items() if name != "calm"}
    faults = {
        "of the others shed": shed,
        "of the others' QoS 1 lost": len(publisher.acknowledged) - stored,
        "sources with a late 99th percentile": sum(s >= COMMIT_S for s in latencies.values()),
        "more frames than sent": max(taken - sent, 0),
    }
    report = {
        "flood: messages sent": f"{sent}, {sent / seconds:.0f} per second, for {seconds:g} s",
        "  taken by the gateway": f"{taken}, {taken / seconds:.0f} per second",
        "  dropped by the broker": f"{sent - taken}",
        "  shed by the gateway": f"{flood_counts['shed']}",
        "arrival to commit, p99: the other broker": f"{1e3 * latencies['calm']:.0f} ms",
        f"  the slowest of {PORTS} ports": f"{1e3 * max(ports.values()):.0f} ms",
        "  the flood": f"{1e3 * _p99_s(before, after, 'flood'):.0f} ms",
        "QoS 1 messages of the other broker": f"{len(publisher.acknowledged)}, {stored} stored",
        "the others' readings shed": f"{shed}",
        "memory, at most": f"{memory_kib / 1024:.1f} MiB",
        "a look at the status: median, slowest": f"{1e3 * statistics.median(looks):.0f} ms,"
        f" {1e3 * max(looks):.0f} ms",
    }
    wrong = [f"{what}: {count}" for what, count in faults.items() if count]
    return not wrong, table(report) + wrong


@contextmanager
def _gateway(
    folder: Path,
    influxd: Influxd,
    flooded: Mosquitto,
    calm: Mosquitto,
    talkers: Sequence[Talker],
) -> Iterator[GatewayProcess]:
    influxd.query(f'CREATE DATABASE "{DATABASE}"')
    gateway = GatewayProcess(folder)
    brokers = "".join(
        f'[[mqtt]]\nname = "{name}"\nurl = "mqtt://127.0.0.1:{broker.port}"\nqos = {qos}\n'
        'subscribe = [{ topic = "load/{device}/state", decoder = "json",'
        f' tags = {{ broker = "{name}" }} }}]\n'
        for name, broker, qos in (("flood", flooded, 0), ("calm", calm, 1))
    )
    ports = "".join(
        f'[[serial]]\nname = "port-{number}"\nport = "{talker.port}"\ndecoder = "text"\n'
        for number, talker in enumerate(talkers)
    )
    gateway.configure(brokers + ports, influxdb=influxd.url, timeout="10s")
    with gateway.running():
        gateway.await_connected()
        await_subscription(flooded)
        await_subscription(calm)
        yield gateway


def _watch(
    gateway: GatewayProcess, port: int, pieces: list[bytes], rate: int, seconds: float
) -> tuple[int, list[float]]:
    """Flood, and look at the status meanwhile; how much was sent, and how long looks took."""
    sent = 0

    def send() -> None:
        nonlocal sent
        sent = CHUNK * flood(port, pieces, rate / CHUNK, seconds)

    sender = threading.Thread(target=send)
    sender.start()
    looks = []
    while sender.is_alive():
        started = time.monotonic()
        gateway.await_status("running", lambda _: True)
        looks.append(time.monotonic() - started)
        time.sleep(LOOK_S)
    sender.join()
    return sent, looks


def _p99_s(before: Status, after: Status, name: str) -> float:
    """Arrival to commit of one source between two looks."""
    marks = [
        LatencyMark(dict(status["ledger"]["sources"][name]["commit_buckets"]))
        for status in (before, after)
    ]
    return marks[1].since(marks[0]).quantile_s(0.99)


def _count(influxd: Influxd, broker: str) -> int:
    query = f"""SELECT count("sequence") FROM "sensor" WHERE "broker" = '{broker}'"""  # noqa: S608
    return sum(int(str(row["count"])) for row in influxd.query(query, DATABASE))

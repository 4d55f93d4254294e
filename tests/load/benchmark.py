"""CPU per message and messages per second, broker to InfluxDB, beside the bare client library.

Both get the same messages from the same broker in alternating runs; the ratio tells more than the
numbers, which depend on the machine. The gateway does more: it decodes, normalizes, writes each
message to the disk before it is acknowledged, and delivers. All messages are counted in InfluxDB.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from gateway.console.status import Status
from tests.integration.influxd import Influxd
from tests.integration.mosquitto import Mosquitto, running
from tests.integration.readings import count_stored
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    ROOT,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.load import footprint
from tests.load.wire import packets, send

PATIENCE_S = 300.0
LOOK_S = 0.2
"""Seldom: a look costs the gateway about 2 ms."""


class Result(NamedTuple):
    """One run; without a store there is nothing that `stored_s` could be."""

    cpu_s: float
    received_s: float
    stored_s: float | None


def run(folder: Path, messages: int, rounds: int) -> tuple[bool, list[str]]:
    """Whether all messages arrived, and a report."""
    report = [
        f"{messages} messages of 4 fields, median of {rounds} alternating runs",
        "",
        "| | QoS | CPU per message | of the bare loop's | messages/s received | to InfluxDB |",
        "|---|---|---|---|---|---|",
    ]
    for qos in (0, 1):
        pieces = packets(messages, qos)
        bare, whole = [], []
        for number in range(rounds):
            place = folder / f"{qos}-{number}"
            bare.append(_run_bare(place / "bare", pieces, qos, messages))
            whole.append(_run_gateway(place / "gateway", pieces, qos, messages))
        cost = median(result.cpu_s for result in bare)
        for name, results in (("aiomqtt and orjson alone", bare), ("the gateway", whole)):
            cpu_s = median(result.cpu_s for result in results)
            received_s = median(result.received_s for result in results)
            stored = [result.stored_s for result in results if result.stored_s is not None]
            report.append(
                f"| {name} | {qos} | {1e6 * cpu_s / messages:.1f} us | {cpu_s / cost:.2f}"
                f" | {messages / received_s:.0f}"
                f" | {f'{messages / median(stored):.0f}' if stored else '-'} |"
            )
    return True, [*report, "", *footprint.report(folder)]


def _run_bare(folder: Path, pieces: list[bytes], qos: int, messages: int) -> Result:
    with running(folder, "max_inflight_messages 1000") as broker:
        program = subprocess.Popen(
            [sys.executable, "-m", "tests.load.bare", str(broker.port), str(qos), str(messages)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert program.stdout is not None
            program.stdout.readline()
            send(broker.port, pieces)
            output, _ = program.communicate(timeout=PATIENCE_S)
        finally:
            program.kill()
            program.wait()
    cpu_s, seconds = map(float, output.split())
    return Result(cpu_s, seconds, None)


def _run_gateway(folder: Path, pieces: list[bytes], qos: int, messages: int) -> Result:
    folder.mkdir(parents=True)
    broker_folder = folder / "broker"
    with (
        running(broker_folder, "max_inflight_messages 1000", *LOG_SUBSCRIPTIONS) as broker,
        Influxd(folder) as influxd,
        _gateway(folder, broker, influxd, qos) as gateway,
    ):
        started, cpu_s = time.monotonic(), gateway.cpu_s()
        sender = threading.Thread(target=send, args=(broker.port, pieces))
        sender.start()

        gateway.await_status(
            "received", lambda status: frames(status) >= messages, PATIENCE_S, LOOK_S
        )
        received_s = time.monotonic() - started
        gateway.await_status("delivered", at_rest, PATIENCE_S, LOOK_S)
        result = Result(gateway.cpu_s() - cpu_s, received_s, time.monotonic() - started)
        sender.join()
        stored = count_stored(influxd, DATABASE)
        assert stored == messages, f"{stored} of {messages} messages are in InfluxDB"
    return result


def frames(status: Status) -> int:
    """Messages that arrived."""
    return status["ledger"]["sources"]["load"]["counts"]["frames"]


@contextmanager
def _gateway(
    folder: Path, broker: Mosquitto, influxd: Influxd, qos: int
) -> Iterator[GatewayProcess]:
    influxd.query(f'CREATE DATABASE "{DATABASE}"')
    gateway = GatewayProcess(folder)
    gateway.configure(
        f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{broker.port}"\nqos = {qos}\n'
        'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]',
        influxdb=influxd.url,
    )
    with gateway.running():
        gateway.await_connected()
        await_subscription(broker)
        yield gateway

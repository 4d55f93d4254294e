"""A backlog that waits in the broker, and a gateway that has no room for it.

The gateway goes away, so many QoS 1 messages are published, InfluxDB stops, and the gateway comes
back with a spool that holds only a part of them. It must take what fits, leave the rest at the
broker, and need no more memory than a gateway needs that takes messages as they come. Then InfluxDB
is back, and everything arrives, once.
"""

import time
from pathlib import Path

from gateway.console.status import Status
from tests.integration.influxd import Influxd
from tests.integration.mosquitto import running
from tests.integration.readings import read_stored
from tests.integration.rig import (
    DATABASE,
    LOG_SUBSCRIPTIONS,
    GatewayProcess,
    at_rest,
    await_subscription,
)
from tests.load import table
from tests.load.wire import packets, send

PATIENCE_S = 300.0
FULL_S = 5.0
"""How long the full spool is watched."""
LOOK_S = 0.2
MEMORY_KIB = 24 * 1024
"""More than idle: 16 MiB of what is not committed yet, packed and in groups, and the broker's
messages that wait for their acknowledgement (5,000)."""


def run(
    folder: Path, messages: int, protocol: str, max_bytes: str, window: int = 1000
) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    with (
        running(folder / "broker", f"max_inflight_messages {window}", *LOG_SUBSCRIPTIONS) as broker,
        Influxd(folder) as influxd,
    ):
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        gateway = GatewayProcess(folder)
        gateway.configure(
            f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{broker.port}"\n'
            f'protocol = "{protocol}"\nbroker_window = {window}\n'
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]',
            influxdb=influxd.url,
            spool=f'max_bytes = "{max_bytes}"',
        )
        with gateway.running():
            gateway.await_connected()
            await_subscription(broker)
            gateway.end()
        send(broker.port, packets(messages, 1))
        influxd.stop()
        with gateway.running():
            gateway.await_connected()
            idle_kib = gateway.memory_kib()
            full = gateway.await_status("full", _is_full, PATIENCE_S, LOOK_S)
            time.sleep(FULL_S)
            later = gateway.await_status("running", lambda _: True)
            full_kib = gateway.memory_kib("VmHWM")
            influxd.start()
            started = time.monotonic()
            gateway.await_status("delivered", lambda s: _is_through(s, messages), PATIENCE_S)
            took_s = time.monotonic() - started
            most_kib = gateway.memory_kib("VmHWM")
            status = gateway.await_status("at rest", at_rest)
        stored = read_stored(influxd, DATABASE)
    source = status["ledger"]["sources"]["load"]["counts"]
    copies = [len(stored.get((f"device-{n % 100}", n), ())) for n in range(messages)]
    taken = [s["ledger"]["lines"]["pending"] for s in (full, later)]
    faults = {
        "lost": copies.count(0),
        "twice": sum(count > 1 for count in copies),
        "shed": source["shed"],
        "lines more in the full spool": taken[1] - taken[0],
        "KiB of memory too many": max(most_kib - idle_kib - MEMORY_KIB, 0),
    }
    report = {
        "messages that waited in the broker": f"{messages}, MQTT {protocol}, spool {max_bytes}",
        "  taken until the spool was full": f"{taken[0]}, and {taken[1]} after {FULL_S:g} s",
        "  in InfluxDB once": f"{copies.count(1)}, {took_s:.1f} s after its return",
        "memory: at the start, most while full, most": f"{idle_kib / 1024:.1f} MiB,"
        f" {full_kib / 1024:.1f} MiB, {most_kib / 1024:.1f} MiB",
        "connections that this took": f"{source['connections']}",
    }
    wrong = [f"{what}: {count}" for what, count in faults.items() if count]
    return not wrong, table(report) + wrong


def _is_full(status: Status) -> bool:
    """The spool has no room, and the source stays away."""
    away = not status["ledger"]["sources"]["load"]["connected"]
    uncommitted = status["ledger"]["sources"]["load"]["counts"]["uncommitted"]
    return away and not uncommitted and not status["store"]["has_room"]


def _is_through(status: Status, messages: int) -> bool:
    taken = status["ledger"]["sources"]["load"]["counts"]["spooled"]
    return taken >= messages and not status["ledger"]["lines"]["pending"]

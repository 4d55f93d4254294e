"""More arrives than InfluxDB takes, for long: nothing grows without bounds, and all is counted.

The simulated InfluxDB answers each request late, so that it takes a fraction of what a broker (QoS
1) and a serial port bring. The small spool fills: the broker keeps the rest, serial lines are shed
and counted. Sampled all the time: file, log and memory. In the end InfluxDB is quick again, and
every message must be there, once, and every serial line that was not shed.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gateway.console.status import Status
from simulators.influxdb import Fault, Influx
from tests.integration.mosquitto import running
from tests.integration.rig import LOG_SUBSCRIPTIONS, GatewayProcess, at_rest, await_subscription
from tests.integration.talker import Talker
from tests.load import table
from tests.load.outage24 import Watch, size_of
from tests.load.publisher import Publisher

DELAY_S = 2.0
BATCH = "100kB"
LINE_S = 0.01
LOOK_S = 0.2
PATIENCE_S = 600.0
MEMORY_KIB = 24 * 1024
REQUESTS_MAX = 100_000


def run(folder: Path, seconds: float, rate: int, max_bytes: str) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    talker = Talker(LINE_S)
    with (
        running(folder / "broker", *LOG_SUBSCRIPTIONS) as broker,
        slow_influxdb() as influx,
        talker.talking(),
    ):
        gateway = GatewayProcess(folder)
        gateway.configure(
            f'[[mqtt]]\nname = "load"\nurl = "mqtt://127.0.0.1:{broker.port}"\n'
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]\n'
            f'[[serial]]\nname = "port"\nport = "{talker.port}"\ndecoder = "text"',
            influxdb=influx.url,
            timeout="10s",
            influx=f'batch_bytes = "{BATCH}"',
            spool=f'max_bytes = "{max_bytes}"',
        )
        watch = Watch(gateway.data_dir, None, talker.hush)
        publisher = Publisher(broker.port, rate)
        with gateway.running(), watch.sizes():
            gateway.await_connected()
            await_subscription(broker)
            start_kib = gateway.memory_kib()
            publisher.start()
            time.sleep(seconds)
            publisher.stop()
            talker.hush()
            written = len(influx.points)
            influx.faults.clear()
            whole = len(publisher.acknowledged)
            status = gateway.await_status(
                "at rest",
                lambda s: (
                    at_rest(s) and s["ledger"]["sources"]["load"]["counts"]["spooled"] >= whole
                ),
                PATIENCE_S,
                LOOK_S,
            )
            most_kib = gateway.memory_kib("VmHWM")
        points = dict(influx.points)
    fine, report = _judge(status, publisher, points, watch.most_bytes - size_of(max_bytes))
    more_kib = most_kib - start_kib
    report |= {
        "  InfluxDB took meanwhile": f"{written} points, in {seconds:g} s",
        "the spool's bound": f"{max_bytes}; at most {watch.most_bytes / size_of(max_bytes):.3f} of"
        " it were taken",
        "memory: before, at most": f"{start_kib / 1024:.1f} MiB, {most_kib / 1024:.1f} MiB",
    }
    was_overload = written < len(publisher.acknowledged) / 2
    return fine and was_overload and more_kib < MEMORY_KIB, table(report)


def _judge(
    status: Status,
    publisher: Publisher,
    points: Mapping[tuple[str, int], Mapping[str, object]],
    excess_bytes: int,
) -> tuple[bool, dict[str, str]]:
    """Whether every message is there once, and every serial line is there or counted."""
    copies = Counter(
        int(float(str(fields["sequence"])))
        for (series, _), fields in points.items()
        if "device=device-" in series
    )
    lines = sum("device=port" in series for series, _ in points)
    port = status["ledger"]["sources"]["port"]["counts"]
    faults = {
        "messages lost": sum(number not in copies for number in publisher.acknowledged),
        "messages twice": sum(
            count > 1 + publisher.again[number] for number, count in copies.items()
        ),
        "messages shed": status["ledger"]["sources"]["load"]["counts"]["shed"],
        "serial lines not counted": abs(port["frames"] - lines - port["shed"]),
        "bytes above the bound": max(excess_bytes, 0),
    }
    report = {
        "messages, QoS 1": f"{len(publisher.acknowledged)}",
        "  in InfluxDB once": f"{sum(count == 1 for count in copies.values())}",
        "  published anew by the device": f"{sum(publisher.again.values())}",
        "  came again, and recognized": f"{_repeated(status)}",
        "serial lines": f"{port['frames']}, {lines} in InfluxDB, {port['shed']} shed and counted",
    }
    wrong = {what: f"{count}" for what, count in faults.items() if count}
    return not wrong, report | wrong


def _repeated(status: Status) -> int:
    return status["ledger"]["sources"]["load"]["counts"]["repeated_frames"]


@contextmanager
def slow_influxdb() -> Iterator[Influx]:
    """The simulated server in a thread of its own; each request waits DELAY_S."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    influx = Influx(1)
    influx.faults.extend(Fault(delay_s=DELAY_S) for _ in range(REQUESTS_MAX))
    try:
        asyncio.run_coroutine_threadsafe(influx.__aenter__(), loop).result()
        yield influx
        asyncio.run_coroutine_threadsafe(influx.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

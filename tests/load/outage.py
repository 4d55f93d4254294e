"""InfluxDB, then the broker, away for half a minute in the middle of a run: nothing is lost.

While InfluxDB is away, arrival to commit may take twice as long as before at the 99th percentile,
and no longer: a database has no business with the way to the disk.
"""

import time
from itertools import pairwise
from pathlib import Path

from tests.integration.readings import differences, read_stored
from tests.integration.rig import DATABASE, LatencyMark, Rig
from tests.load import table

SCENARIO = """
seed = 3
[broker]
url = "mqtt://127.0.0.1"

[[serial]]
name = "port"
count = 20
baudrate = 115200
interval = "100ms"
sequence = true
quantities = { temperature = "tempC", humidity = "hum" }

[[mqtt]]
name = "device"
count = 200
topic = "load/{location}/{device}/state"
interval = "1s"
sequence = true
quantities = { temperature = "temperature", humidity = "humidity", battery = "battery" }
"""

FACTOR = 2.0


def run(folder: Path, seconds: float) -> tuple[bool, list[str]]:
    """Whether all is well, and a report; each outage lasts `seconds`."""
    with Rig(folder, SCENARIO) as rig:
        gateway = rig.start_gateway()
        devices = rig.simulate(5 * seconds)
        gateway.await_status("receiving", lambda s: s["commit_latency"]["count"] > 1000)
        marks, pending = [LatencyMark.of(gateway)], 0
        memory_kib = []
        steps = (None, rig.influxd.stop, rig.influxd.start, rig.broker.stop)
        for step in steps:
            if step is not None:
                step()
            time.sleep(seconds)
            marks.append(LatencyMark.of(gateway))
            memory_kib.append(gateway.memory_kib())
            status = gateway.status()
            pending = max(pending, status["ledger"]["lines"]["pending"] if status else 0)
        rig.broker.start()
        sent = devices.finish(patience_s=10 * seconds + 120)
        rig.await_delivery(sum(sent.copies.values()), patience_s=240)
        wrong = differences(sent, read_stored(rig.influxd, DATABASE))
    before, during, after = (
        later.since(earlier).quantile_s(0.99) for earlier, later in pairwise(marks[:4])
    )
    steady = during <= FACTOR * before
    report = {
        "readings sent": f"{len(sent.whole)}; InfluxDB, then the broker away for {seconds:g} s",
        "not exactly once in InfluxDB": f"{len(wrong)}",
        "lines that waited for InfluxDB": f"{pending}",
        "arrival to commit, p99: before": f"{1e3 * before:.0f} ms",
        "  without InfluxDB": f"{1e3 * during:.0f} ms, {during / before:.2f} times that before",
        "  after": f"{1e3 * after:.0f} ms",
        "memory: before, without InfluxDB": f"{memory_kib[0] / 1024:.1f} MiB,"
        f" {memory_kib[1] / 1024:.1f} MiB",
    }
    return steady and not wrong, table(report) + wrong

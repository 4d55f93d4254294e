"""A hall full of devices: every reading exactly once, and what that took.

100 pseudo-terminals with 10 lines a second each and 1,000 devices on the broker with a message a
second each. What the devices recorded is compared with what InfluxDB has, reading by reading.
"""

import time
from pathlib import Path

from tests.integration.readings import differences, losses, read_stored
from tests.integration.rig import DATABASE, ROOT, LatencyMark, Rig
from tests.load import table
from tests.load.footprint import bare_import_kib

SCENARIO = ROOT / "simulators" / "scenarios" / "load.toml"


def run(folder: Path, seconds: float) -> tuple[bool, list[str]]:
    """Whether all is well, and a report."""
    with Rig(folder, SCENARIO.read_text(encoding="utf-8")) as rig:
        gateway = rig.start_gateway()
        started, cpu_s = time.monotonic(), gateway.cpu_s()
        sent = rig.simulate(seconds).finish()
        status = rig.await_delivery(sum(sent.copies.values()), patience_s=120)
        took_s, cpu_s = time.monotonic() - started, gateway.cpu_s() - cpu_s
        latency = LatencyMark.of(gateway)
        wrong = differences(sent, read_stored(rig.influxd, DATABASE))
        memory = [gateway.memory_kib(key) / 1024 for key in ("VmRSS", "VmHWM")]
    count, bare = len(sent.whole), bare_import_kib() / 1024
    report = {
        "readings sent": f"{count} in {seconds:g} s, and {len(sent.damaged)} damaged ones",
        "readings per second": f"{count / seconds:.0f}",
        "not exactly once in InfluxDB": f"{len(wrong)}",
        "CPU": f"{cpu_s:.1f} s, {100 * cpu_s / took_s:.0f} % of one core,"
        f" {1e6 * cpu_s / count:.0f} us per reading",
        "memory at the end, at most": f"{memory[0]:.1f} MiB, {memory[1]:.1f} MiB",
        "bare import of its libraries": f"{bare:.1f} MiB",
        "arrival to commit, p50, p99": f"{1e3 * latency.quantile_s(0.5):.0f} ms,"
        f" {1e3 * latency.quantile_s(0.99):.0f} ms",
        "losses": f"{dict(losses(status)) or 'none'}",
        "ledger": "balanced" if status["ledger"]["balanced"] else "WRONG",
    }
    return not wrong, table(report) + wrong

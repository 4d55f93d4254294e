"""A Modbus bus at 9600 baud: ten devices every second, one dead, one that answers garbage.

Once these two rest, the others must keep their interval: jitter is how much the time between two
observations of a device differs from the interval, as a share of it. Afterwards, a bus with more to
do than fits: whether it is shared fairly, and whether the gateway says so.

Bytes on the wire take 10 bits each; a device thinks 8 to 30 ms before it answers.
"""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from gateway.console.status import Status
from simulators.devices.modbus import DELAYS_S, REQUEST_SIZE
from tests.integration.rig import PATIENCE_S, ROOT, GatewayProcess, Simulation
from tests.load import table

BAUDRATE = 9600
INTERVAL_S = 1.0
JITTER_MAX = 0.1
FAIR_MAX = 2
"""Beats that two equal devices may differ by."""

DEVICES = (
    *("sdm120@1", "pzem004t@2", "s8@3", "pzem004t@4+dead", "pzem004t@5"),
    *("sdm120@6", "pzem004t@7+garbage", "s8@8", "pzem004t@9", "pzem004t@10"),
)
ILL = {"bus-4": "no answer", "bus-7": "garbage"}
TOO_MANY = tuple(f"sdm630@{address}" for address in range(1, 11))
SETTLE_S = 2.0
"""Two beats, in which devices that had to wait for the ill ones come back to their time."""

NAP_S = 0.01
MARGIN_S = 600.0
"""The simulators run until they are stopped."""


class Measured(NamedTuple):
    """What became of a while on the bus."""

    seconds: float
    times: Mapping[str, Sequence[float]]
    """When each device was observed."""
    polls: int
    size: int
    """Bytes of the answers."""
    problems: Sequence[str]
    balanced: bool
    cpu_s: float
    machine_late_s: float
    """How late a process that only sleeps was woken, at worst."""

    def jitters(self, device: str) -> list[float]:
        """In ascending order."""
        intervals = (after - before for before, after in pairwise(self.times[device]))
        return sorted(abs(each - INTERVAL_S) / INTERVAL_S for each in intervals)

    def wire_share(self) -> float:
        """Of the time, how much the bytes take."""
        return (self.size + REQUEST_SIZE * self.polls) * 10 / BAUDRATE / self.seconds

    def busy_share(self) -> float:
        """Likewise with the time that devices think, on average, and the gaps."""
        gap_s = 3.5 * 10 / BAUDRATE
        return self.wire_share() + self.polls * (sum(DELAYS_S) / 2 + gap_s) / self.seconds


def run(folder: Path, seconds: float, overload_seconds: float) -> tuple[bool, list[str]]:
    """Whether the bounds are kept, and a report."""
    fine, report = run_ill(folder / "ill", seconds)
    if overload_seconds:
        fair, more = run_overload(folder / "overload", overload_seconds)
        return fine and fair, [*report, "", *more]
    return fine, report


def run_ill(folder: Path, seconds: float) -> tuple[bool, list[str]]:
    """Two of the ten are ill."""
    found = _measure(folder, DEVICES, seconds, ILL)
    well = [device for device in sorted(found.times) if device not in ILL]
    every = sorted(jitter for device in well for jitter in found.jitters(device))
    least = min(len(found.times[device]) for device in well)
    rows = {
        "devices, their interval": f"{len(DEVICES)} at {BAUDRATE} baud, {INTERVAL_S:g} s",
        "measured for": f"{found.seconds:.1f} s, {len(every)} intervals of {len(well)} devices",
        "bus: bytes, with thinking and gaps": f"{found.wire_share():.0%}, {found.busy_share():.0%}",
        "jitter p50, p99, max": ", ".join(f"{_quantile(every, q):.1%}" for q in (0.5, 0.99, 1.0)),
        "p99 of each device, worst": f"{max(_quantile(found.jitters(d), 0.99) for d in well):.1%}",
        "observations of each, at least": f"{least}",
        "CPU": f"{100 * found.cpu_s / found.seconds:.1f} % of one core,"
        f" {1e3 * found.cpu_s / found.polls:.1f} ms per request",
        "the machine itself was late by": f"{1e3 * found.machine_late_s:.0f} ms at worst",
        "problems": "; ".join(found.problems),
        "ledger": "balanced" if found.balanced else "WRONG",
    }
    whole = least >= int(found.seconds / INTERVAL_S) - 1
    fine = len(well) == len(DEVICES) - len(ILL) and whole and found.balanced
    return fine and _quantile(every, 0.99) < JITTER_MAX, table(rows)


def run_overload(folder: Path, seconds: float) -> tuple[bool, list[str]]:
    """Everybody is well, and there is more to do than fits."""
    found = _measure(folder, TOO_MANY, seconds, {})
    counts = [len(times) for times in found.times.values()]
    said = [problem for problem in found.problems if "beats were skipped" in problem]
    rows = {
        "devices, their interval": f"{len(TOO_MANY)} SDM630 (40 values each), {INTERVAL_S:g} s",
        "measured for": f"{found.seconds:.1f} s",
        "bus: bytes, with thinking and gaps": f"{found.wire_share():.0%}, {found.busy_share():.0%}",
        "observations of each": f"{min(counts)} to {max(counts)}",
        "that is one in": f"{found.seconds * len(counts) / sum(counts):.2f} s",
        "said": "; ".join(found.problems),
        "ledger": "balanced" if found.balanced else "WRONG",
    }
    fair = len(counts) == len(TOO_MANY) and max(counts) - min(counts) <= FAIR_MAX
    return fair and bool(said) and found.balanced, table(rows)


def _quantile(ascending: Sequence[float], fraction: float) -> float:
    return ascending[min(int(fraction * len(ascending)), len(ascending) - 1)]


def _measure(
    folder: Path, variants: Sequence[str], seconds: float, ill: Mapping[str, str]
) -> Measured:
    """Run a bus on a real pseudo-terminal; measured is what follows once the ill ones rest."""
    folder.mkdir()
    scenario = folder / "scenario.toml"
    scenario.write_text(
        f'[[serial]]\nname = "bus"\ndevice = "modbus"\nvariants = {list(variants)}\n'
        f'baudrate = {BAUDRATE}\ninterval = "{INTERVAL_S:g}s"\n'
    )
    where = [str(scenario), "--quiet", "--directory", str(folder)]
    sources = folder / "sources.toml"
    command = [sys.executable, "-m", "simulators", *where, "--seconds", "0"]
    subprocess.run(
        [*command, "--config", str(sources)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
    )
    with ExitStack() as stack:
        bus = Simulation([*where, "--seconds", str(MARGIN_S)], folder / "sent.jsonl")
        stack.callback(bus.kill)
        _await_port(folder / "bus")
        gateway = GatewayProcess(folder)
        gateway.configure(sources.read_text())
        stack.enter_context(gateway.running())
        gateway.await_connected()
        gateway.await_status("resting", lambda status: _rest(status, ill))
        time.sleep(SETTLE_S)
        before = gateway.await_status("there", lambda _: True)
        started_ns, started, cpu_s = time.time_ns(), time.monotonic(), gateway.cpu_s()
        machine_late_s = _sleep(seconds)
        after = gateway.await_status("there", lambda _: True)
        ended_ns, took_s = time.time_ns(), time.monotonic() - started
        cpu_s = gateway.cpu_s() - cpu_s
        gateway.end()
    earlier, later = (each["ledger"]["sources"]["bus"]["counts"] for each in (before, after))
    return Measured(
        took_s,
        _observed(gateway.data_dir / "archive.db", started_ns, ended_ns),
        later["polls"] - earlier["polls"],
        later["bytes_received"] - earlier["bytes_received"],
        after["health"]["problems"],
        after["ledger"]["balanced"],
        cpu_s,
        machine_late_s,
    )


def _sleep(seconds: float) -> float:
    """Let so much time pass, and return by how much the machine oversleeps at worst."""
    end = time.monotonic() + seconds
    worst = 0.0
    while (now := time.monotonic()) < end:
        time.sleep(NAP_S)
        worst = max(worst, time.monotonic() - now - NAP_S)
    return worst


def _await_port(link: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not link.exists():
        assert time.monotonic() < deadline, "there is no port"
        time.sleep(0.05)


def _rest(status: Status, ill: Mapping[str, str]) -> bool:
    """Whether all of them are known for what they are."""
    problems = status["health"]["problems"]
    return all(
        any(f"{device} (" in problem and words in problem for problem in problems)
        for device, words in ill.items()
    )


def _observed(archive: Path, begin_ns: int, end_ns: int) -> dict[str, list[float]]:
    """The seconds of each device's observations."""
    query = (
        "SELECT DISTINCT device, time_ns FROM readings WHERE measurement != 'units'"
        " AND time_ns >= ? AND time_ns < ? ORDER BY time_ns"
    )
    times: dict[str, list[float]] = {}
    with sqlite3.connect(archive) as db:
        for device, time_ns in db.execute(query, (begin_ns, end_ns)):
            times.setdefault(device, []).append(time_ns / 1e9)
    return times

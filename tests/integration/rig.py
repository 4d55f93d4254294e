"""The whole gateway among real neighbours: processes, a broker, a database, pseudo-terminals.

    with Rig(tmp_path, SCENARIO) as rig:        # broker and database run
        gateway = rig.start_gateway()           # the real command, waits until it is subscribed
        run = rig.simulate(5)                   # software devices, a process of their own
        sent = run.finish()
        rig.await_delivery(len(sent.whole))
        assert not differences(sent, read_stored(rig.influxd, DATABASE))

The gateway is watched as an operator would: through its control socket and /proc.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, cast

from gateway.console.client import fetch_status
from gateway.console.status import Status
from gateway.errors import TransportError
from tests.integration.influxd import Influxd
from tests.integration.mosquitto import Mosquitto
from tests.integration.readings import Sent, count_stored, read_record

ROOT = Path(__file__).parents[2]
DATABASE = "sensors"
LOOK_S = 0.05
SHOWN = 10
PATIENCE_S = 30.0
END_S = 15.0
"""A gateway that takes longer to end is killed; tests of its end are stricter."""

GATEWAY = ("-m", "gateway")
LOG_SUBSCRIPTIONS = ("log_type error", "log_type subscribe")


class GatewayProcess:
    """`sensor-gateway run`, again and again on one data directory."""

    def __init__(self, folder: Path, *, program: Sequence[str] = GATEWAY) -> None:
        self.data_dir = folder / "data"
        self.config = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def configure(
        self,
        sources: str,
        *,
        influxdb: str | None = None,
        commit_interval: str = "1s",
        timeout: str = "2s",
        listen: str = "",
        clock: str = 'clock = "trust"',
        spool: str = "",
        influx: str = "",
    ) -> None:
        """Write the configuration; without `influxdb` (a URL) readings go to the archive.

        `spool` and `influx` are further lines of these sections.
        """
        sections = [
            f'[gateway]\nname = "rig"\ndata_dir = "{self.data_dir}"\n{clock}',
            f'[spool]\ncommit_interval = "{commit_interval}"\n{spool}',
            f'[console]\nlisten = "{listen}"',
            sources,
        ]
        if influxdb is not None:
            sections.append(
                f'[influxdb]\nversion = 1\nurl = "{influxdb}"\ndatabase = "{DATABASE}"\n'
                f'timeout = "{timeout}"\n{influx}'
            )
        self.config.write_text("\n\n".join(sections) + "\n", encoding="utf-8")

    def start(self, stdin: int | None = None) -> None:
        """Start it, perhaps with a standard input of its own; it may not be ready yet."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self._program, "run", "--config", str(self.config)],
                cwd=ROOT,
                stdin=stdin,
                stdout=log,
                stderr=log,
            )

    @contextmanager
    def running(self, stdin: int | None = None) -> Iterator[None]:
        """Start it; at the end it is gone, come what may."""
        self.start(stdin)
        try:
            yield
        finally:
            self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def status(self) -> Status | None:
        """What it says of itself; None while it does not answer."""
        try:
            return asyncio.run(fetch_status(self.data_dir))
        except TransportError:
            return None

    def await_status(
        self,
        what: str,
        condition: Callable[[Status], bool],
        patience_s: float = PATIENCE_S,
        look_s: float = LOOK_S,
    ) -> Status:
        """The first status that fulfils the condition; each look costs the gateway a moment."""
        deadline = time.monotonic() + patience_s
        while True:
            found = self.status()
            if found is not None and condition(found):
                return found
            assert self._process is not None
            assert self._process.poll() is None, f"the gateway ended:\n{self.tail()}"
            assert time.monotonic() < deadline, f"not {what}: {summary(found)}\n{self.tail()}"
            time.sleep(look_s)

    def await_connected(self, *names: str) -> Status:
        """Wait until the sources, all if none is named, are there."""

        def connected(status: Status) -> bool:
            sources = status["ledger"]["sources"]
            wanted = names or [name for name, s in sources.items() if s["kind"] != "internal"]
            return bool(wanted) and all(sources[name]["connected"] for name in wanted)

        return self.await_status("connected", connected)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to end; its exit code, and how long it took."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(number)
        code = self._process.wait(END_S)
        self._process = None
        return code, time.monotonic() - started

    def kill(self) -> None:
        """SIGKILL, as a power cut; harmless if it has ended."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:]

    def cpu_s(self) -> float:
        """User and system time so far."""
        return cpu_s(self.pid)

    def memory_kib(self, key: str = "VmRSS") -> int:
        """Resident memory now, or `VmHWM`, the most so far."""
        return memory_kib(self.pid, key)


@dataclass(frozen=True, slots=True)
class LatencyMark:
    """The histogram of arrival to commit at an instant; two of them make a period."""

    counts: Mapping[float, int] = field(default_factory=dict)

    @classmethod
    def of(cls, gateway: GatewayProcess) -> Self:
        status = gateway.await_status("running", lambda _: True)
        return cls(dict(status["commit_latency"]["buckets"]))

    def since(self, earlier: "LatencyMark") -> "LatencyMark":
        return LatencyMark(
            {edge: count - earlier.counts.get(edge, 0) for edge, count in self.counts.items()}
        )

    def quantile_s(self, fraction: float) -> float:
        """The upper edge of the bucket that holds the quantile."""
        wanted = fraction * sum(self.counts.values())
        assert wanted, "nothing was committed in this period"
        reached = 0
        for edge_s, count in sorted(self.counts.items()):
            reached += count
            if reached >= wanted:
                return edge_s
        raise AssertionError


def cpu_s(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int, key: str = "VmRSS") -> int:
    """A line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


class Simulation:
    """`python -m simulators`, and its record of what was truly sent."""

    def __init__(self, arguments: Sequence[str], record: Path) -> None:
        self._record = record
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simulators", *arguments, "--record", str(record)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )

    def finish(self, patience_s: float = 120.0) -> Sent:
        """Wait for its end; the broker has confirmed everything."""
        output, _ = self._process.communicate(timeout=patience_s)
        totals = json.loads(output.splitlines()[-1])
        assert self._process.returncode == 0, totals
        return read_record(self._record)

    def kill(self) -> None:
        """End it if it runs."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Rig:
    """One gateway, its neighbours, and the software devices of one scenario."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._scenario = folder / "scenario.toml"
        self._scenario.write_text(scenario, encoding="utf-8")
        self.gateway = GatewayProcess(folder)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.influxd = stack.enter_context(Influxd(self._folder))
            self.influxd.query(f'CREATE DATABASE "{DATABASE}"')
            self.broker = Mosquitto(self._folder / "broker", *LOG_SUBSCRIPTIONS)
            stack.callback(self.broker.kill)
            self.broker.start()
            stack.callback(self._kill_gateway)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _kill_gateway(self) -> None:
        """The one that is there in the end: a test may have put another in its place."""
        self.gateway.kill()

    def start_gateway(self, *, commit_interval: str = "1s", listen: str = "") -> GatewayProcess:
        """Configure it as the simulators say, start it, wait until the broker knows its wishes.

        Serial ports do not exist yet: they come with the simulation, as if plugged in.
        """
        self.gateway.configure(
            self.sources(),
            influxdb=self.influxd.url,
            commit_interval=commit_interval,
            listen=listen,
        )
        self.gateway.start()
        self.await_subscribed()
        return self.gateway

    def await_subscribed(self) -> None:
        """Wait until the broker has a subscription for each pattern of the scenario."""
        if "[[mqtt]]" not in self.sources():
            self.gateway.await_status("running", lambda _: True)
            return
        self.gateway.await_connected("simulators")
        await_subscription(self.broker)

    def sources(self) -> str:
        """The gateway's configuration of the scenario's devices."""
        path = self._folder / "sources.toml"
        if not path.exists():
            subprocess.run(
                [sys.executable, "-m", "simulators", *self._arguments(0), "--config", str(path)],
                cwd=ROOT,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        return path.read_text(encoding="utf-8")

    def simulate(self, seconds: float) -> Simulation:
        """Start the devices."""
        run = Simulation(self._arguments(seconds), self._folder / "sent.jsonl")
        self._stack.callback(run.kill)
        return run

    def _arguments(self, seconds: float) -> list[str]:
        broker = f"mqtt://127.0.0.1:{self.broker.port}"
        where = ["--directory", str(self._folder / "ports"), "--broker", broker]
        return [str(self._scenario), "--seconds", str(seconds), "--quiet", *where]

    def await_delivery(self, readings: int, patience_s: float = PATIENCE_S) -> Status:
        """Wait until so many numbered readings are stored and nothing is under way."""
        deadline = time.monotonic() + patience_s
        while (stored := count_stored(self.influxd, DATABASE)) < readings:
            assert time.monotonic() < deadline, (
                f"{stored} of {readings} readings stored: {summary(self.gateway.status())}\n"
                f"{self.gateway.tail()}"
            )
            time.sleep(4 * LOOK_S)
        return self.gateway.await_status("at rest", at_rest)


def await_subscription(broker: Mosquitto) -> None:
    """Wait until a broker that logs subscriptions has one of the gateway's."""
    deadline = time.monotonic() + PATIENCE_S
    while "rig-" not in broker.log.read_text():
        assert time.monotonic() < deadline, "no subscription"
        time.sleep(LOOK_S)


def at_rest(status: Status) -> bool:
    """Everything that arrived is delivered, and the ledger balances."""
    sources = status["ledger"]["sources"].values()
    uncommitted = sum(source["counts"]["uncommitted"] for source in sources)
    waiting = status["ledger"]["lines"]["pending"] + uncommitted
    return status["ledger"]["balanced"] and not waiting


def summary(status: Status | None) -> str:
    """The parts of a status that explain a failure."""
    if status is None:
        return "no answer"
    ledger = status["ledger"]
    states = {
        name: f"{'connected' if source['connected'] else source['problem']}"
        for name, source in ledger["sources"].items()
        if not source["connected"] and source["kind"] != "internal"
    }
    parts = {
        "lines": ledger["lines"],
        "imbalances": ledger["imbalances"],
        "health": status["health"]["status"],
        "problems": status["health"]["problems"][:SHOWN],
        "away": dict(list(states.items())[:SHOWN]),
        "losses": [cast("dict[str, object]", loss) for loss in ledger["losses"]][:SHOWN],
    }
    return json.dumps(parts, indent=1)

"""The whole product on one machine: simulated devices -> broker and ports -> gateway -> store.

`python -m simulators` runs as a child and prints the configuration that reads its devices; the
gateway runs here with it. At the end the devices stop first, what they sent is delivered, and the
ledger must balance. Everything lives in a temporary folder that goes away with the demo.
"""

import asyncio
import importlib.util
import logging
import os
import socket
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway import app
from gateway.clock import now_ns
from gateway.config.load import load
from gateway.config.models import Config
from gateway.console.server import serve as serve_console
from gateway.demo_servers import Server, broker, end, free_port, influxdb
from gateway.errors import GatewayError, TransportError
from gateway.ledger import Stage
from gateway.model import Observation
from gateway.service import stop_on_signals
from gateway.settings import influx_target
from gateway.sinks.influxdb import InfluxSink

DATABASE = "sensor_gateway_demo"
CONSOLE_PORT = 9280
DEVICES_LOG = "simulators.log"
LINES_PER_S = 4
LAST_BYTES_S = 1.0
"""For what the devices sent last to come through ports and broker."""
DRAIN_S = 10.0

Say = Callable[[str], None]


async def run_demo(seconds: float | None, *, embedded: bool, say: Say) -> None:
    """Run until `seconds` are over or Ctrl-C; raises GatewayError where the demo did not succeed.

    Args:
        seconds: None runs for ever.
        embedded: take the embedded broker and the archive whatever is installed.
        say: takes a line for the user.
    """
    logging.getLogger("gateway").setLevel(logging.WARNING)
    stop = stop_on_signals()
    with TemporaryDirectory(prefix="sensor-gateway-demo-") as name:
        folder = Path(name)
        async with (
            broker(folder, embedded=embedded) as mqtt,
            influxdb(folder, embedded=embedded) as influx,
        ):
            config = await _configuration(folder, mqtt, influx)
            say("Simulated: boards, a meter, solar, wind and dust on serial ports; MQTT rooms")
            say(f"Broker:    {mqtt.words}")
            say(f"Store:     {influx.words if influx else _archive_words(embedded=embedded)}")
            async with _devices(folder, mqtt, config) as devices:
                demo = _Demo(folder, config, devices, say, stop, seconds)
                await app.run(config, demo.over, demo.run)
            demo.judge()


class _Demo:
    """One run beside the gateway: live lines, and what came of it."""

    def __init__(
        self,
        folder: Path,
        config: Config,
        devices: Process,
        say: Say,
        stop: asyncio.Event,
        seconds: float | None,
    ) -> None:
        self._folder = folder
        self._config = config
        self._devices = devices
        self._say = say
        self._stop = stop
        self._seconds = seconds
        self._spoken_ns = 0
        self._failures: list[str] = []
        self.over = asyncio.Event()
        """Set when the devices have stopped and everything is delivered."""

    async def run(self, gateway: app.Gateway) -> None:
        """Beside the running gateway, see `app.run`."""
        async with asyncio.TaskGroup() as group:
            console = group.create_task(self._serve_console(gateway))
            await _until_connected(gateway)
            gateway.committer.observers.append(self._show)
            await self._play()
            gateway.committer.observers.remove(self._show)
            await self._drain(gateway)
            self._say("")
            self._report_ledger(gateway)
            await self._report_query(gateway)
            self.over.set()
            console.cancel()

    def judge(self) -> None:
        if self._failures:
            raise GatewayError(f"the demo failed: {'; '.join(self._failures)}")

    async def _serve_console(self, gateway: app.Gateway) -> None:
        await serve_console(
            gateway,
            self._config.console.listen,
            self._folder / "data",
            started=lambda url: self._say(f"Look at:   {url}\n"),
        )

    async def _play(self) -> None:
        """Let the devices speak until the time is over, Ctrl-C, or their own end."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
        if self._devices.returncode is not None:
            said = (self._folder / DEVICES_LOG).read_text()
            self._failures.append(f"the devices ended: {said[-500:]}")
        logging.getLogger("gateway").setLevel(logging.ERROR)  # they go away as planned
        await end(self._devices)

    async def _drain(self, gateway: app.Gateway) -> None:
        """Wait until what was sent is committed and delivered."""
        await asyncio.sleep(LAST_BYTES_S)
        try:
            async with asyncio.timeout(DRAIN_S):
                while gateway.store.totals().pending or any(  # noqa: ASYNC110 -- no event for it
                    account.uncommitted for account in gateway.ledger.accounts.values()
                ):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self._failures.append("not everything could be delivered")

    def _show(self, source: str, observation: Observation) -> None:
        """A live line of a device, `LINES_PER_S` at most."""
        if source == "gateway" or observation.received_at_ns - self._spoken_ns < 1e9 / LINES_PER_S:
            return
        self._spoken_ns = observation.received_at_ns
        tags = dict(observation.series.tags)
        values = " ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in observation.fields.items()
        )
        self._say(f"{source:<11} {tags.pop('device', ''):<13} {values}")

    def _report_ledger(self, gateway: app.Gateway) -> None:
        for account in gateway.ledger.accounts.values():
            if account.kind == "internal":
                continue
            if not account.spooled and not self._stop.is_set():
                self._failures.append(f"nothing came from {account.source}")
            lost = [
                f"{loss.count} {'bytes ' if stage is Stage.NOISE else ''}{stage} ({reason})"
                for (source, stage, reason), loss in gateway.ledger.losses.items()
                if source == account.source
            ]
            headers = f" ({account.state} CSV headers)" if account.state else ""
            self._say(
                f"{account.source:<12}{account.kind}: {account.frames} frames{headers}, "
                f"{account.observations} observations, {account.spooled} on disk"
                + (f"; not taken: {', '.join(lost)}" if lost else "")
            )
        lines = gateway.ledger.lines(gateway.store.totals())
        self._say(f"{'store':<12}" + ", ".join(f"{n} {name}" for name, n in lines.items() if n))
        imbalances = gateway.imbalances()
        self._failures += imbalances
        self._say(
            "The ledger does not balance: " + "; ".join(imbalances)
            if imbalances
            else "The ledger is balanced: every byte and every reading is accounted for."
        )

    async def _report_query(self, gateway: app.Gateway) -> None:
        """Ask the store itself."""
        settings = self._config.influxdb
        if settings is None:
            query = (
                "SELECT device, count(*) AS readings, round(avg(value), 1) AS mean"
                " FROM readings WHERE field = 'temperature' GROUP BY device ORDER BY device"
            )
            rows = await gateway.worker.call(_query_archive, gateway.store.path, query)
        else:
            query = (
                "SELECT count(temperature) AS readings, mean(temperature) AS mean"
                " FROM sensor GROUP BY device"
            )
            async with InfluxSink(influx_target(settings), now_ns) as sink:
                found = await sink.query_v1(query)
            rows = [
                (str(r["device"]), int(str(r["readings"])), float(str(r["mean"]))) for r in found
            ]
        self._say(f"\n{query}")
        for device, count, mean in rows:
            self._say(f"  {device:<14}{count:>5} temperatures, mean {mean:.1f} °C")
        if not rows:
            self._failures.append("the store has no temperatures")


@asynccontextmanager
async def _devices(folder: Path, mqtt: Server, config: Config) -> AsyncIterator[Process]:
    """The simulators as a child, from when their ports are there."""
    with (folder / DEVICES_LOG).open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *_simulators(folder, mqtt), "--quiet", stdout=output, stderr=output, process_group=0
        )
        try:
            async with asyncio.timeout(DRAIN_S):
                while not all(Path(str(port.port)).exists() for port in config.serial):  # noqa: ASYNC110, ASYNC240
                    await asyncio.sleep(0.05)
            yield process
        except TimeoutError as error:
            raise TransportError("the simulators do not start") from error
        finally:
            await end(process)


def _query_archive(path: Path, query: str) -> list[tuple[str, int, float]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as archive:
        return archive.execute(query).fetchall()


async def _until_connected(gateway: app.Gateway) -> None:
    """Brokers keep nothing for a gateway they don't know yet, so devices wait for it."""
    try:
        async with asyncio.timeout(DRAIN_S):
            brokers = [s.account for s in gateway.sources if s.account.kind == "mqtt"]
            while not all(account.connected for account in brokers):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise TransportError("; ".join(gateway.problems())) from error


def _simulators(folder: Path, mqtt: Server) -> list[str]:
    """The command of the devices, by name only: gateway and simulators meet on the wire."""
    package = importlib.util.find_spec("simulators")
    if package is None or not package.submodule_search_locations:
        raise TransportError("the simulators are not installed")
    scenario = Path(package.submodule_search_locations[0]) / "scenarios" / "demo.toml"
    return [
        *(sys.executable, "-m", "simulators", str(scenario)),
        *("--directory", str(folder), "--broker", mqtt.url),
    ]


async def _configuration(folder: Path, mqtt: Server, influx: Server | None) -> Config:
    """What the devices say of themselves, with the demo's folder, store and console."""
    process = await asyncio.create_subprocess_exec(
        *_simulators(folder, mqtt), "--seconds", "0", stdout=PIPE, stderr=PIPE
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise TransportError(f"the simulators do not start: {errors.decode()}")
    address = f'url = "{mqtt.url}"'
    devices = output.decode().rpartition("\n{")[0]
    devices = devices.replace(address, f'{address}\nprotocol = "{mqtt.protocol}"')
    # Who looks at a demo does not wait for anything, least of all for a time server.
    parts = [f'[gateway]\nname = "demo"\ndata_dir = "{folder}/data"\nclock = "trust"\n']
    if influx is not None:
        parts.append(f'[influxdb]\nversion = 1\nurl = "{influx.url}"\ndatabase = "{DATABASE}"\n')
    parts.append(f'[console]\nlisten = "127.0.0.1:{_console_port()}"\n')
    path = folder / "gateway.toml"
    path.write_text("\n".join([*parts, devices]))
    return load(path, environ=os.environ)


def _console_port() -> int:
    """The usual one, unless a gateway of this machine has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", CONSOLE_PORT))
        except OSError:
            return free_port()
        return CONSOLE_PORT


def _archive_words(*, embedded: bool) -> str:
    why = "embedded" if embedded else "no InfluxDB 1 is installed"
    return f"an SQLite archive ({why})"

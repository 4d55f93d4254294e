"""What the gateway takes when nothing happens, and how soon it is there."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.integration.influxd import Influxd
from tests.integration.mosquitto import running
from tests.integration.rig import DATABASE, GatewayProcess
from tests.load import pseudo_terminal, table

IMPORTS = (
    "aiohttp.web, aiomqtt, click, influxdb_client.client.influxdb_client_async, orjson,"
    " prometheus_client, pydantic, serial_asyncio, sqlite3"
)
"""The libraries that `run` needs."""

QUIET_PORTS = 20
QUIET_S = 20.0
SETTLE_S = 3.0
STARTS = 3


def bare_import_kib() -> int:
    """Resident memory of an interpreter that has imported the libraries and nothing else."""
    show = "print(next(l for l in open('/proc/self/status') if l.startswith('VmRSS')).split()[1])"
    output = subprocess.run(
        [sys.executable, "-c", f"import {IMPORTS}\n{show}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return int(output)


def report(folder: Path) -> list[str]:
    """Idle CPU, memory and start."""
    quiet_folder = folder / "quiet"
    quiet_folder.mkdir()
    share, memory_kib = _quiet(quiet_folder)
    bare_kib = bare_import_kib()
    starts = []
    for number in range(STARTS):
        start_folder = folder / f"start-{number}"
        start_folder.mkdir()
        starts.append(_start(start_folder))
    rows = {
        "CPU with 20 quiet ports and a broker": f"{100 * share:.2f} % of one core",
        "memory then": f"{memory_kib / 1024:.1f} MiB",
        "bare import of its libraries": f"{bare_kib / 1024:.1f} MiB",
        "start to first observation": f"{sorted(starts)[STARTS // 2]:.2f} s, of"
        f" {', '.join(f'{s:.2f}' for s in starts)}",
    }
    return table(rows)


def _quiet(folder: Path) -> tuple[float, int]:
    """Share of one core, and resident memory in KiB."""
    with ExitStack() as stack:
        broker = stack.enter_context(running(folder / "broker"))
        influxd = stack.enter_context(Influxd(folder))
        gateway = GatewayProcess(folder)
        ports = [_port(stack, f"port-{number}")[1] for number in range(QUIET_PORTS)]
        gateway.configure(
            "\n".join(ports) + f'[[mqtt]]\nname = "b"\nurl = "mqtt://127.0.0.1:{broker.port}"\n'
            'subscribe = [{ topic = "load/{device}/state", decoder = "json" }]',
            influxdb=influxd.url,
            listen="127.0.0.1:0",
        )
        stack.enter_context(gateway.running())
        gateway.await_connected()
        time.sleep(SETTLE_S)
        started_ns, started = _running_ns(gateway.pid), time.monotonic()
        time.sleep(QUIET_S)
        used_s = (_running_ns(gateway.pid) - started_ns) / 1e9
        return used_s / (time.monotonic() - started), gateway.memory_kib()


def _running_ns(pid: int) -> int:
    """Time that all threads spent running; finer than the clock ticks of /proc/PID/stat."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads)


def _port(stack: ExitStack, name: str) -> tuple[Callable[[bytes], int], str]:
    """A pseudo-terminal: how to speak on it, and its configuration."""
    master, path = pseudo_terminal(stack)
    entry = f'[[serial]]\nname = "{name}"\nport = "{path}"\ndecoder = "text"\n'
    return lambda data: os.write(master, data), entry


def _start(folder: Path) -> float:
    """Seconds from the start of the process to the first observation's time of arrival."""
    with ExitStack() as stack:
        influxd = stack.enter_context(Influxd(folder))
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        gateway = GatewayProcess(folder)
        say, entry = _port(stack, "port")
        gateway.configure(entry, influxdb=influxd.url)
        ended = threading.Event()

        def talk() -> None:
            while not ended.wait(0.01):
                try:
                    say(b'{"a": 1}\n')
                except BlockingIOError:
                    continue

        device = threading.Thread(target=talk)
        stack.callback(device.join)
        stack.callback(ended.set)
        started_ns = time.time_ns()
        stack.enter_context(gateway.running())
        device.start()
        query = 'SELECT first("a") FROM "sensor"'
        while not (rows := influxd.query(query, DATABASE)):
            time.sleep(0.1)
        return (int(str(rows[0]["time"])) - started_ns) / 1e9

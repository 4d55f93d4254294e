"""A broker and a store for the demo: what is on this machine, else what the package brings.

In this order, for each of the two: the server's program where it is installed, started privately
on free ports in the demo's folder; one that runs on this machine at its usual port and lets
everybody in; the embedded one (amqtt, the SQLite archive). What was started is ended; what ran
before goes on, with a database of the demo's own and topics below `demo/`.
"""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import aiohttp

from gateway.errors import TransportError

START_S = 10.0
STOP_S = 3.0
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))

MOSQUITTO_CONF = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
upgrade_outgoing_qos true
"""

INFLUXD_CONF = """\
reporting-enabled = false
bind-address = "127.0.0.1:{backup_port}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""


class Server(NamedTuple):
    """Where a server is, and how it came to be there, in words."""

    url: str
    words: str
    protocol: str = "auto"


def free_port() -> int:
    """A port of the loopback interface that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def broker(folder: Path, *, embedded: bool) -> AsyncIterator[Server]:
    """A broker for the demo."""
    program = shutil.which("mosquitto", path=SYSTEM_PATH)
    if program and not embedded:
        port = free_port()
        config = folder / "mosquitto.conf"
        config.write_text(MOSQUITTO_CONF.format(port=port, folder=folder))
        async with _child([program, "-c", str(config)], folder / "mosquitto.log", port):
            yield Server(f"mqtt://127.0.0.1:{port}", f"mosquitto, started on port {port}")
    elif not embedded and await _listens(1883):
        yield Server("mqtt://127.0.0.1:1883", "the broker that runs on port 1883")
    else:
        async with _embedded_broker() as port:
            yield Server(
                f"mqtt://127.0.0.1:{port}",
                f"amqtt (embedded; no mosquitto is installed), on port {port}"
                if not embedded
                else f"amqtt (embedded), on port {port}",
                "3.1.1",
            )


@asynccontextmanager
async def influxdb(folder: Path, *, embedded: bool) -> AsyncIterator[Server | None]:
    """An InfluxDB 1 for the demo; None: there is none, readings go to the archive."""
    program = shutil.which("influxd", path=SYSTEM_PATH)
    if program and not embedded and await _is_version_1(program):
        port = free_port()
        config = folder / "influxdb.conf"
        config.write_text(
            INFLUXD_CONF.format(port=port, backup_port=free_port(), folder=folder / "influxdb")
        )
        command = [program, "run", "-config", str(config)]
        async with _child(command, folder / "influxdb.log", port):
            url = f"http://127.0.0.1:{port}"
            yield Server(url, f"InfluxDB {await _version(url)}, started on port {port}")
    elif not embedded and (await _version("http://127.0.0.1:8086")).startswith("1."):
        yield Server("http://127.0.0.1:8086", "the InfluxDB that runs on port 8086")
    else:
        yield None


@asynccontextmanager
async def _child(command: Sequence[str], log_path: Path, port: int) -> AsyncIterator[None]:
    """A server as a child process, from when it listens until it has ended."""
    with log_path.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # a terminal's Ctrl-C is for the demo, which ends its servers last
        )
        try:
            await _until_it_listens(process, port, command[0], log_path)
            yield
        finally:
            await end(process)


async def _until_it_listens(
    process: asyncio.subprocess.Process, port: int, name: str, log_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_S
    while not await _listens(port):
        if process.returncode is not None or loop.time() > deadline:
            said = log_path.read_text(errors="replace")[-500:]  # noqa: ASYNC240 -- a moment, once
            raise TransportError(f"{name} did not start: {said}")
        await asyncio.sleep(0.05)


async def end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL for a child that does not listen."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _embedded_broker() -> AsyncIterator[int]:
    try:
        from amqtt.broker import Broker  # noqa: PLC0415 -- an optional extra
    except ImportError as error:
        raise TransportError(
            "no broker: install mosquitto, or the embedded one: pip install 'sensor-gateway[demo]'"
        ) from error
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    port = free_port()
    anonymous = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    embedded = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {anonymous: {"allow_anonymous": True}},
        }
    )
    await embedded.start()
    try:
        yield port
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await embedded.shutdown()


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _is_version_1(program: str) -> bool:
    """The later ones want a set-up first; the demo leaves them alone."""
    process = await asyncio.create_subprocess_exec(
        program, "version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return b"InfluxDB v1." in output


async def _version(url: str) -> str:
    """What the server says that it is; empty where none answers."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"{url}/ping") as answer,
        ):
            return str(answer.headers.get("X-Influxdb-Version", ""))
    except (aiohttp.ClientError, OSError, TimeoutError):
        return ""

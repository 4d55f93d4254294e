"""A real gateway that reads a bridge, a device server, a command and its standard input.

Each line is stored exactly once, although the other side goes away and comes back in between.
"""

import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from gateway.baudrates import BYTES
from gateway.console.status import SourceStatus, Status
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.readings import differences, read_stored
from tests.integration.rig import DATABASE, GatewayProcess, Rig, at_rest
from tests.ports import free_port
from tests.transports.device_server import DeviceServer

pytestmark = [pytest.mark.integration, needs_influxd]

ROUNDS = 4
LINES = 250
"""Of each round."""
PATIENCE_S = 60.0

BRIDGE = """
seed = 5
[[serial]]
name = "bridge"
listen = "127.0.0.1:{port}"
baudrate = 115200
interval = "10ms"
readings = 300
sequence = true
quantities = {{ temperature = "tempC" }}
faults = {{ split = 0.2, garbage = 0.02, unplug = {{ every = "1s", lasts = "300ms" }} }}
"""


def test_a_bridge_that_comes_and_goes(tmp_path: Path) -> None:
    with Rig(tmp_path, BRIDGE.format(port=free_port())) as rig:
        rig.start_gateway()
        sent = rig.simulate(PATIENCE_S).finish()
        status = rig.await_delivery(len(sent.whole))
        stored = read_stored(rig.influxd, DATABASE)
    assert len(sent.whole) > 290
    assert not differences(sent, stored)
    assert source(status)["counts"]["connections"] > 1


def source(status: Status) -> SourceStatus:
    """The one that was configured."""
    (found,) = [s for s in status["ledger"]["sources"].values() if s["kind"] == "serial"]
    return found


def line(number: int) -> bytes:
    return b'{"sequence": %d}\n' % number


@contextmanager
def gateway_reading(folder: Path, way: str, stdin: int | None = None) -> Iterator["Reading"]:
    """A gateway with one source, and where its readings go."""
    with Influxd(folder) as influxd:
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        gateway = GatewayProcess(folder)
        gateway.configure(
            f'[[serial]]\nname = "s"\n{way}',
            influxdb=influxd.url,
            commit_interval="100ms",
        )
        with gateway.running(stdin):
            yield Reading(gateway, influxd)


class Reading:
    """A gateway and its database."""

    def __init__(self, gateway: GatewayProcess, influxd: Influxd) -> None:
        self.gateway = gateway
        self._influxd = influxd

    def await_lines(self, count: int) -> Status:
        """Wait for the lines 1 to `count`, each stored exactly once, and rest."""
        self.gateway.await_status(
            f"all {count} there",
            lambda status: source(status)["counts"]["decoded"] >= count,
            PATIENCE_S,
        )
        status = self.gateway.await_status("at rest", at_rest)
        stored = read_stored(self._influxd, DATABASE)
        assert sorted(number for _, number in stored) == list(range(1, count + 1))
        assert all(len(copies) == 1 for copies in stored.values())
        return status


class LineServer:
    """A device server, for one client after the other."""

    def __init__(self, clients: int, says: Callable[[int], bytes], *, restarts: bool) -> None:
        self.port = free_port()
        self.rates: list[int] = []
        """What the clients set."""
        self._clients = clients
        self._says = says
        """What the device says, at the rate that is set."""
        self._restarts = restarts
        """It goes away once all is said, and does not wait for the client to leave."""
        self._thread = threading.Thread(target=self._serve)

    @contextmanager
    def serving(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._thread.join()

    def _serve(self) -> None:
        for _ in range(self._clients):
            with socket.create_server(("127.0.0.1", self.port)) as listening:
                listening.settimeout(PATIENCE_S)
                peer, _ = listening.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                self._converse(peer)

    def _converse(self, peer: socket.socket) -> None:
        server = DeviceServer()
        while server.serial.stopbits != 1:  # the last thing to be set
            peer.sendall(bytes(server.outgoing))
            server.outgoing.clear()
            server.receive(peer.recv(1000))
        self.rates.append(server.serial.baudrate)
        server.say(self._says(server.serial.baudrate))
        peer.sendall(bytes(server.outgoing))
        if self._restarts:
            peer.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while peer.recv(1000):
                pass


def test_a_device_server_that_restarts(tmp_path: Path) -> None:
    numbers = iter(range(1, ROUNDS * LINES + 1))
    server = LineServer(
        ROUNDS, lambda _: b"".join(map(line, islice(numbers, LINES))), restarts=True
    )
    way = f'decoder = "text"\nport = "rfc2217://localhost:{server.port}"\nbaudrate = 19200'
    with server.serving(), gateway_reading(tmp_path, way) as reading:
        status = reading.await_lines(ROUNDS * LINES)
    assert server.rates == [19_200] * ROUNDS
    counts = source(status)["counts"]
    assert counts["bytes_noise"] == counts["bytes_buffered"] == 0, "telnet is no data"
    assert counts["bytes_received"] == sum(len(line(n + 1)) for n in range(ROUNDS * LINES))


def test_a_rate_is_found_by_listening(tmp_path: Path) -> None:
    def says(rate: int) -> bytes:
        dust = bytes((0xC0, 1, 0, 2, 0, 3, 4, 10, 0xAB))  # SDS011: 0.1 and 0.2 ug/m3, sum 10
        return b"\xaa" + dust if rate == 115_200 else Random(rate).randbytes(2 * BYTES)

    server = LineServer(2, says, restarts=False)
    way = f'decoder = "sds011"\nport = "rfc2217://localhost:{server.port}"\nbaudrate = "auto"'
    with server.serving(), gateway_reading(tmp_path, way) as reading:
        status = reading.gateway.await_status("found", lambda s: bool(source(s)["detail"]))
    assert server.rates == [9600, 115_200]
    assert source(status)["detail"] == "115200 baud, found by listening"
    assert source(status)["counts"]["decoded"] == 1


COMMAND = f"""
import pathlib, sys, time
state = pathlib.Path(sys.argv[1])
first = int(state.read_text()) if state.exists() else 1
if first > {ROUNDS * LINES}:
    time.sleep(1000)
for number in range(first, first + {LINES}):
    print('{{"sequence": %d}}' % number)
state.write_text(str(first + {LINES}))
print("bye", first, file=sys.stderr)
sys.exit(3)
"""


def test_a_command_that_ends_is_started_again(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(COMMAND)
    way = f'decoder = "text"\ncommand = ["{sys.executable}", "program.py", "{tmp_path}/state"]'
    with gateway_reading(tmp_path, way.replace("program.py", str(program))) as reading:
        reading.await_lines(ROUNDS * LINES)
        log = reading.gateway.tail()
    assert f"ended with exit code 3; its last words: bye {(ROUNDS - 1) * LINES + 1}" in log
    assert "s: bye 1" in log


STDIN = 'decoder = "text"\nport = "stdin"'


def test_standard_input_is_read_to_its_end(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    lines.write_bytes(b"".join(line(n + 1) for n in range(LINES)))
    with lines.open("rb") as file, gateway_reading(tmp_path, STDIN, file.fileno()) as it:
        it.await_lines(LINES)
        status = it.gateway.await_status("ended", lambda status: not source(status)["connected"])
    assert source(status)["problem"] == "standard input ended"
    assert source(status)["counts"]["connections"] == 1


STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('{"sequence": %d}' % os.getpid(), flush=True)
while True:
    time.sleep(1000)
"""


def test_the_end_is_quick_although_a_command_does_not_want_to_end(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(STUBBORN)
    way = f'decoder = "text"\ncommand = ["{sys.executable}", "{program}"]'
    with gateway_reading(tmp_path, way) as reading:
        status = reading.gateway.await_status("spoke", lambda s: bool(s["devices"]))
        pid = int(float(status["devices"][0]["fields"]["sequence"]["value"]))
        assert Path(f"/proc/{pid}").exists()
        code, took_s = reading.gateway.end(signal.SIGTERM)
    assert (code, took_s < 5.0) == (0, True)
    assert not Path(f"/proc/{pid}").exists()

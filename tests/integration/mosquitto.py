"""A real mosquitto on a free loopback port, in its own folder: stop, kill, restart it.

`max_queued_messages 0` and `persistence true` are what the gateway's documentation asks for.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.ports import free_port

HOST = "127.0.0.1"
START_TIMEOUT_S = 10.0
STOP_TIMEOUT_S = 10.0

BASICS = (
    "persistence true",
    "max_queued_messages 0",
    "allow_anonymous true",
)


def executable() -> str:
    """Where mosquitto is; skips the test where it is not."""
    found = shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        pytest.skip("mosquitto is missing: apt install mosquitto (or brew install mosquitto)")
    return found


class Mosquitto:
    """One broker; restarted it has the same port and what it stored."""

    def __init__(self, folder: Path, *settings: str) -> None:
        """Write the configuration.

        Args:
            folder: a new or existing one, for configuration, log and stored sessions.
            settings: lines for mosquitto.conf; those after a `listener` line of their own belong
                to that listener.
        """
        self._executable = executable()
        self.folder = folder
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"listener {self.port} {HOST}",
            f"user {getpass.getuser()}",
            f"persistence_location {folder}/",
            *(line for line in BASICS if line.split()[0] not in {s.split()[0] for s in settings}),
            *settings,
        ]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")

    def start(self) -> Self:
        """Start it, and wait until it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._executable, "-c", str(self._config)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return self
        self.kill()
        raise RuntimeError(f"mosquitto did not start:\n{self.log.read_text()}")

    def stop(self) -> None:
        """SIGTERM: it stores its sessions and says goodbye."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what it had not stored is gone."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """SIGSTOP: it hangs, its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(folder: Path, *settings: str) -> Iterator[Mosquitto]:
    """A started broker; it is ended with the block."""
    broker = Mosquitto(folder, *settings)
    try:
        yield broker.start()
    finally:
        broker.kill()

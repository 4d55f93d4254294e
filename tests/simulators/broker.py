"""A real mosquitto of our own, on a free loopback port, that can be stopped and started again."""

import os
import shutil
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.ports import free_port

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
PATIENCE_S = 10.0
needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


class Broker:
    """A broker that keeps its sessions over a clean restart."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = directory / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""  # else it may not read the directory
        self._config.write_text(
            f"{user}listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type error\n"
            f"persistence true\npersistence_location {directory}/\nmax_queued_messages 0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._config)])
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        pytest.fail("mosquitto does not listen")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None


class Subscriber:
    """Keeps every message of a broker, over its restarts too."""

    def __init__(self, broker: Broker, topic: str = "#") -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._subscribed = False
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False
        )
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe(topic, qos=1)

    def __enter__(self) -> Self:
        self._client.loop_start()
        end = time.monotonic() + PATIENCE_S
        while not self._subscribed and time.monotonic() < end:
            time.sleep(0.01)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def payloads(self) -> Counter[bytes]:
        return Counter(payload for _, payload in self.messages)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload)))

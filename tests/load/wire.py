"""MQTT 3.1.1 packets, encoded beforehand, so that the sender is never what is measured."""

import json
import random
import socket
import struct
import threading
import time

DEVICES = 100
CHUNK = 500
"""Packets in one write."""

CONNECT = b"\x10\x13\x00\x04MQTT\x04\x02\x00\x00\x00\x07publish"
_PUBLISH = 0x30
_QOS_1 = 0x02
_DUPLICATE = 0x08
IDENTIFIERS = 65_535


def packets(count: int, qos: int, seed: int = 1) -> list[bytes]:
    """PUBLISH packets with four numbers each, from DEVICES devices in turn; few to a piece."""
    rng = random.Random(seed)
    encoded = []
    for number in range(count):
        topic = b"load/device-%d/state" % (number % DEVICES)
        fields = {
            "temperature": round(rng.uniform(15, 30), 2),
            "humidity": round(rng.uniform(30, 70), 1),
            "battery": rng.randint(0, 100),
            "sequence": number,
        }
        payload = json.dumps(fields, separators=(",", ":")).encode()
        identifier = number % IDENTIFIERS + 1 if qos else 0
        encoded.append(publish_packet(topic, payload, identifier))
    return [b"".join(encoded[at : at + CHUNK]) for at in range(0, count, CHUNK)]


def publish_packet(
    topic: bytes, payload: bytes, identifier: int, *, duplicate: bool = False
) -> bytes:
    """A PUBLISH packet: QoS 1, or 0 where the identifier is 0, which is none."""
    flags = _QOS_1 | duplicate * _DUPLICATE if identifier else 0
    named = struct.pack("!H", identifier) if identifier else b""
    body = struct.pack("!H", len(topic)) + topic + named + payload
    return bytes([_PUBLISH | flags]) + _length(len(body)) + body


def _length(size: int) -> bytes:
    encoded = bytearray()
    while size > 127:
        encoded.append(size % 128 | 128)
        size //= 128
    return bytes([*encoded, size])


def send(port: int, pieces: list[bytes]) -> None:
    """Send everything as fast as the broker takes it; what it confirms is read and forgotten."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(CONNECT)
        reader = threading.Thread(target=_read, args=(connection,))
        reader.start()
        for piece in pieces:
            connection.sendall(piece)
        connection.sendall(b"\xe0\x00")
        reader.join()


def _read(connection: socket.socket) -> None:
    """Until the broker closes the connection, which it does when it has read our goodbye."""
    while connection.recv(65_536):
        pass


def flood(port: int, pieces: list[bytes], rate: float, seconds: float) -> int:
    """Send so many pieces a second, over and over, for so long; returns how many it became."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(CONNECT)
        started, sent = time.monotonic(), 0
        while (passed := time.monotonic() - started) < seconds:
            if sent >= passed * rate:
                time.sleep(1 / rate)
                continue
            connection.sendall(pieces[sent % len(pieces)])
            sent += 1
        connection.sendall(b"\xe0\x00")
        _read(connection)
    return sent

"""Streams of bytes: what a device's framer finds in them, and what a line of seven bits does."""

from gateway.conformance import feed
from gateway.model import Device, Framed


def frames_of(device: Device, *chunks: bytes) -> list[bytes]:
    """The frames, in order."""
    framer = device.make_framer({})
    assert framer is not None
    return [item.data for item in feed(framer, chunks) if isinstance(item, Framed)]


def with_parity(text: bytes) -> bytes:
    """What a line of seven bits and even parity looks like at eight bits."""
    return bytes(byte | (byte.bit_count() % 2) << 7 for byte in text)

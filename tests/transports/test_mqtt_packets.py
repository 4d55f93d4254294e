"""However a stream is cut into portions, the same packets come out; hostile ones are bounded."""

import random
import struct
import tracemalloc
from itertools import pairwise

import pytest

from gateway.transports.mqtt_packets import Message, NotMqttError, PacketReader

LIMIT = 1000
CONNACK = b"\x20\x02\x00\x00"
PINGRESP = b"\xd0\x00"


def variable(number: int) -> bytes:
    out = bytearray()
    while True:
        number, rest = divmod(number, 128)
        out.append(rest | (0x80 if number else 0))
        if not number:
            return bytes(out)


def publish(
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    identifier: int = 0,
    flags: int = 0,
    properties: bytes | None = None,
) -> bytes:
    name = topic.encode()
    body = struct.pack("!H", len(name)) + name
    if qos:
        body += struct.pack("!H", identifier)
    if properties is not None:
        body += variable(len(properties)) + properties
    body += payload
    return bytes([0x30 | qos << 1 | flags]) + variable(len(body)) + body


def read(data: bytes, cuts: list[int], *, mqtt5: bool = False) -> list[Message | bytes]:
    reader = PacketReader(mqtt5=mqtt5, message_bytes_max=LIMIT)
    edges = [0, *cuts, len(data)]
    return [p for a, b in pairwise(edges) for p in reader.feed(data[a:b])]


STREAM = (
    CONNACK
    + publish("a/b", b"21.5")
    + publish("a/b", b"", qos=1, identifier=1)
    + publish("a/c", b"x" * 200, qos=1, identifier=65_535, flags=0x08)
    + PINGRESP
    + publish("größe", b"old", flags=0x01)
    + publish("big", b"y" * 5000, qos=1, identifier=7)
    + publish("a/b", b"z", qos=2, identifier=258)
)
PACKETS = [
    CONNACK,
    Message("a/b", b"21.5", 0, retain=False, duplicate=False, identifier=0),
    Message("a/b", b"", 1, retain=False, duplicate=False, identifier=1),
    Message("a/c", b"x" * 200, 1, retain=False, duplicate=True, identifier=65_535),
    PINGRESP,
    Message("größe", b"old", 0, retain=True, duplicate=False, identifier=0),
    Message("big", b"", 1, retain=False, duplicate=False, identifier=7, skipped=5007),
    Message("a/b", b"z", 2, retain=False, duplicate=False, identifier=258),
]


def test_a_stream_yields_its_packets_in_order() -> None:
    assert read(STREAM, []) == PACKETS


def test_it_does_not_matter_where_the_stream_is_cut() -> None:
    for cut in range(len(STREAM)):
        assert read(STREAM, [cut]) == PACKETS, f"cut at {cut}"
    assert read(STREAM, list(range(1, len(STREAM)))) == PACKETS


@pytest.mark.parametrize("seed", range(20))
def test_random_portions(seed: int) -> None:
    rng = random.Random(seed)
    cuts = sorted(rng.sample(range(len(STREAM)), 30))
    assert read(STREAM, cuts) == PACKETS, f"seed {seed}"


@pytest.mark.parametrize("size", [0, 5, 127, 128, 300])
def test_properties_of_mqtt_5_are_skipped(size: int) -> None:
    packet = publish("a", b"1", qos=1, identifier=3, properties=b"\x26" * size)
    for cut in range(len(packet)):
        assert read(packet, [cut], mqtt5=True) == [
            Message("a", b"1", 1, retain=False, duplicate=False, identifier=3)
        ]


def test_an_overlong_message_of_mqtt_5_says_how_long_it_was() -> None:
    packet = publish("a", b"1" * LIMIT, qos=1, identifier=3, properties=b"\x26" * 200)
    for cut in range(len(packet)):
        found = read(packet + PINGRESP, [cut], mqtt5=True)
        assert found == [Message("a", b"", 1, False, False, 3, len(packet) - 3), PINGRESP]  # noqa: FBT003


def test_a_topic_that_is_no_text_is_a_message_all_the_same() -> None:
    (message,) = read(b"\x30\x05\x00\x02\xff\xfe1", [])
    assert isinstance(message, Message)
    assert message.payload == b"1"


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x00",  # no topic
        b"\x30\x02\x00\x05",  # a topic longer than its packet
        b"\x32\x03\x00\x01a",  # QoS 1 without identifier
        b"\x32\x05\x00\x01a\x00\x00",  # identifier 0
        b"\x36\x06\x00\x01a\x00\x011",  # QoS 3
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x90\xff\xff\xff\x7f",  # a SUBACK of 256 MiB
    ],
)
def test_what_is_not_mqtt_is_said_to_be_so(data: bytes) -> None:
    with pytest.raises(NotMqttError):
        read(data + CONNACK, [])
    with pytest.raises(NotMqttError):
        read(data + CONNACK, list(range(1, len(data))))


@pytest.mark.parametrize("data", [b"\x30\x03\x00\x01a", b"\x30\x06\x00\x01a\xff\xff\xff"])
def test_properties_that_do_not_fit_are_not_mqtt(data: bytes) -> None:
    with pytest.raises(NotMqttError):
        read(data, [], mqtt5=True)


@pytest.mark.parametrize("seed", range(200))
def test_garbage_never_does_worse(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(STREAM)
    for _ in range(rng.randrange(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    try:
        packets = read(bytes(data), sorted(rng.sample(range(len(data)), 5)), mqtt5=bool(seed % 2))
    except NotMqttError:
        return
    assert all(isinstance(packet, Message | bytes) for packet in packets)


def test_a_message_of_the_largest_size_costs_no_memory() -> None:
    reader = PacketReader(mqtt5=False, message_bytes_max=LIMIT)
    head = b"\x30\xff\xff\xff\x7f\x00\x01a"
    portion = bytes(1 << 20)
    tracemalloc.start()
    try:
        (message,) = reader.feed(head + portion[:-3])
        assert isinstance(message, Message)
        assert message.skipped == 0x0FFFFFFF
        for _ in range(254):
            assert list(reader.feed(portion)) == []
        assert list(reader.feed(portion[:-1] + PINGRESP)) == [PINGRESP]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(portion)

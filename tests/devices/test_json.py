"""JSON messages and lines."""

import pytest

from gateway.devices.json import DEVICE
from gateway.model import Decoded, Frame, Ignored, Malformed, Reading, Reason
from tests.conformance import ARRIVAL_NS, Vector, check_decoder, comparable

FLAT = Reading({"temperature": 21.53, "humidity": 45, "on": False, "state": "idle"})

VECTORS = [
    Vector(b'{"temperature":21.53,"humidity":45,"on":false,"state":"idle"}\n', [FLAT]),
    Vector(
        b'{"id":"k1","ts":1714557600,"room":{"t":{"value":21.5,"unit":"\xc2\xb0C"},"fan":[1,0]}}\r\n',
        [
            Reading(
                {"room.t": 21.5, "room.fan.0": 1, "room.fan.1": 0},
                {"room.t": "°C"},
                "k1",
                observed_at_ns=ARRIVAL_NS,
            )
        ],
        {"device": "id"},
    ),
    Vector(b'[{"t":1},{"t":0}]\n', [Reading({"t": 1}), Reading({"t": 0})]),
    Vector(b'{"t":nan,"u":1e400,"h":45}\n', [Reading({"t": float("nan"), "u": 9e999, "h": 45})]),
]


def test_conformance() -> None:
    check_decoder(DEVICE, VECTORS, resync=b"\n", mutants=20_000)


@pytest.mark.parametrize("data", [b"", b"\0\n"])
def test_an_empty_payload_is_malformed(data: bytes) -> None:
    assert DEVICE.decoder().decode(Frame(data, 0, "a")) == Malformed(Reason.EMPTY)


def test_a_first_line_counts_if_it_proves_itself_whole() -> None:
    decoder = DEVICE.decoder()

    def first(data: bytes) -> object:
        return decoder.decode(Frame(data, 0, first=True))

    whole = first(b'{"temperature":21.53,"humidity":45,"on":false,"state":"idle"}')
    assert isinstance(whole, Decoded)
    assert comparable(whole.readings) == comparable([FLAT])
    for cut in (b'erature":21.53}', b'"t":1}}', b"1.5", b'"a"', b"", b"2]"):
        assert first(cut) == Ignored(Reason.FIRST_LINE)

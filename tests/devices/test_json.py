"""JSON messages and lines."""

import pytest

from gateway.conformance import comparable
from gateway.devices.json import DEVICE
from gateway.model import Decoded, Frame, Ignored, Malformed, Reading, Reason


@pytest.mark.parametrize("data", [b"", b"\0\n"])
def test_an_empty_payload_is_malformed(data: bytes) -> None:
    assert DEVICE.decoder().decode(Frame(data, 0, "a")) == Malformed(Reason.EMPTY)


def test_a_first_line_counts_if_it_proves_itself_whole() -> None:
    decoder = DEVICE.decoder()
    flat = Reading({"temperature": 21.53, "humidity": 45, "on": False, "state": "idle"})

    def first(data: bytes) -> object:
        return decoder.decode(Frame(data, 0, first=True))

    whole = first(b'{"temperature":21.53,"humidity":45,"on":false,"state":"idle"}')
    assert isinstance(whole, Decoded)
    assert comparable(whole.readings) == comparable([flat])
    for cut in (b'erature":21.53}', b'"t":1}}', b"1.5", b'"a"', b"", b"2]"):
        assert first(cut) == Ignored(Reason.FIRST_LINE)

"""A capture of a bus whose master is somebody else."""

from collections.abc import Iterable

from gateway.conformance import feed
from gateway.devices import devices
from gateway.model import (
    Decoded,
    Frame,
    Framed,
    Ignored,
    Learned,
    Malformed,
    Reading,
    Reason,
    Verdict,
)
from tests.specimens.modbus import framed

OPTIONS = {
    "devices": [
        {"name": "grid", "address": 1, "template": "sdm630"},
        {
            "name": "pump",
            "address": 2,
            "registers": [{"name": "on", "register": 3, "table": "coil"}],
        },
    ]
}
CONVERSATION = [
    framed("01 04 0000 0004"),
    framed("01 04 08 43663333 4366CCCD"),
    framed("02 01 0000 0008"),
    framed("02 01 01 08"),
    framed("07 04 0000 0002"),
    framed("07 04 04 00000000"),
    framed("01 04 0034 0002"),
    framed("01 84 02"),
    framed("01 06 0000 0001"),
    framed("01 04 04 43663333"),
]


def verdicts(chunks: Iterable[bytes]) -> list[Verdict]:
    device = devices()["modbus"]
    framer, decoder = device.make_framer(OPTIONS), device.make_decoder(OPTIONS)
    assert framer is not None
    return [
        decoder.decode(Frame(item.data, 0))
        for item in feed(framer, chunks)
        if isinstance(item, Framed)
    ]


def readings(chunks: Iterable[bytes]) -> list[Reading]:
    return [r for v in verdicts(chunks) if isinstance(v, Decoded) for r in v.readings]


def test_answers_are_read_by_the_requests_before_them() -> None:
    unasked = Ignored(Reason.UNASKED)
    first, second = readings(CONVERSATION)
    assert first == Reading(
        {"voltage_l1": 230.2, "voltage_l2": 230.8},
        {"voltage_l1": "V", "voltage_l2": "V"},
        "grid",
        "energy_meter",
    )
    assert second == Reading({"on": True}, {}, "pump")
    kinds = [type(verdict) for verdict in verdicts(CONVERSATION)[:4]]
    assert kinds == [Learned, Decoded, Learned, Decoded]
    assert verdicts(CONVERSATION)[4:] == [
        *(Learned(), unasked),
        *(Learned(), Malformed(Reason.EXCEPTION)),
        *(unasked, unasked),
    ]


def test_a_capture_may_begin_anywhere() -> None:
    whole = b"".join(CONVERSATION)
    for start in range(1, len(CONVERSATION[0]) + len(CONVERSATION[1]) + 1):
        assert [reading.device for reading in readings([whole[start:]])] == ["pump"]

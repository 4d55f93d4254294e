"""MH-Z19: what is asked, what an answer says, and both ends of a line together."""

from functools import partial

import pytest

from gateway.asking import Asker, Poll, Request
from gateway.conformance import Vector, readings_of
from gateway.devices.mhz19 import DEVICE, Mhz19Decoder
from gateway.model import Decoded, Frame, Ignored, Malformed, Reading, Reason
from simulators import virtual_time
from simulators.devices import Reply
from simulators.devices.mhz19 import WARM_UP_PPM, WARM_UP_S, make
from simulators.world import World
from tests.polled import Line

ASKED = bytes.fromhex("ff 01 86 00 00 00 00 00 79")
ANSWERED = bytes.fromhex("ff 86 02 f0 41 40 00 00 07")


def test_it_asks_and_takes_the_answer() -> None:
    decoder = Mhz19Decoder(interval="30s")
    assert isinstance(decoder, Asker)
    decoder.begin(0.0)
    assert decoder.ask(0.0) == Request(ASKED, answer_size=9)
    assert decoder.ask(0.1) == 30.0
    assert decoder.outcome() is None
    assert decoder.decode(Frame(ANSWERED, 0)) == Decoded(
        [Reading({"carbon_dioxide": 752, "device_temperature": 25}, measurement="air_quality")]
    )
    assert decoder.outcome() is Poll.ANSWERED


def test_what_nobody_asked_for_is_a_reading_too() -> None:
    found = readings_of(DEVICE, [ANSWERED + ANSWERED], Vector(b"", ()))
    assert [reading.values["carbon_dioxide"] for reading in found] == [752, 752]


def test_without_a_temperature_there_is_none() -> None:
    """The data sheet's own example: 544 ppm, and zeros."""
    data = bytes.fromhex("ff 86 02 20 00 00 00 00 58")
    (reading,) = readings_of(DEVICE, [data], Vector(b"", ()))
    assert reading.values == {"carbon_dioxide": 544}


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (ASKED, Ignored(Reason.ECHO)),
        (bytes.fromhex("ff 99 01 00 00 00 00 00 66"), Ignored(Reason.UNSUPPORTED)),
        (bytes.fromhex("ff 79 01 00 00 00 00 00 86"), Ignored(Reason.UNSUPPORTED)),
        (ANSWERED[:-1] + b"\x08", Malformed(Reason.CHECKSUM, ANSWERED[:-1] + b"\x08")),
        (ANSWERED[:-1], Malformed(Reason.CHECKSUM, ANSWERED[:-1])),
        (b"", Malformed(Reason.CHECKSUM)),
    ],
)
def test_what_is_no_answer(data: bytes, verdict: Ignored | Malformed) -> None:
    decoder = Mhz19Decoder()
    assert decoder.decode(Frame(data, 0)) == verdict
    assert decoder.outcome() is None


def test_a_sensor_at_the_end_of_a_line() -> None:
    async def main() -> None:
        sensor = make("co2", partial(World(1).value, "kitchen"))
        sent: list[Reply] = []

        def respond(data: bytes, t: float) -> list[Reply]:
            replies = sensor.receive(data, t)
            sent.extend(replies)
            return replies

        line = Line("mhz19", respond, baudrate=9_600, options={"interval": "10s"})
        await line.run(605.0)
        assert [round(when, 2) for when, _ in line.written] == [10.0 * n for n in range(61)]
        assert (line.account.polls, line.account.answered) == (61, 61)
        assert line.poller.problems() == []
        stored = await line.observations()
        assert [dict(each.fields) for each in stored] == [
            {
                "carbon_dioxide": reply.values["CO2"],
                "device_temperature": reply.values["temperature"] - 40,
            }
            for reply in sent
        ]
        warm = [reply.values["CO2"] for reply in sent[int(WARM_UP_S / 10.0) + 1 :]]
        assert sent[0].values["CO2"] == WARM_UP_PPM
        assert WARM_UP_PPM not in warm

    virtual_time.run(main())


def test_a_sensor_that_comes_and_goes() -> None:
    async def main() -> None:
        sensor = make("co2", partial(World(1).value, "kitchen"))
        line = Line("mhz19", lambda _data, _t: [], baudrate=9_600)
        await line.run(25.0)
        assert line.poller.problems() == ["no answer to the last 3 requests"]
        line.respond = lambda _data, _t: [Reply(ANSWERED[:-1])]
        await line.run(25.0)
        assert line.poller.problems() == ["no answer that can be read to the last 6 requests"]
        line.respond = sensor.receive
        await line.run(25.0)
        assert line.poller.problems() == []
        account = line.account
        assert (account.timeouts, account.invalid, account.answered) == (3, 3, 3)
        assert account.connections == 3

    virtual_time.run(main())

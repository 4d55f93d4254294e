"""SPS30: starting, reading, starting again, and both ends of a line together."""

import struct
from functools import partial

import pytest

from gateway.asking import Asker, Poll, Request
from gateway.conformance import Vector, readings_of
from gateway.devices.sps30 import DEVICE, READINGS_WITHOUT, Sps30Decoder
from gateway.model import Decoded, Frame, Ignored, Learned, Malformed, Reason, Verdict
from simulators import virtual_time
from simulators.devices import Reply
from simulators.devices.sps30 import Sps30, make
from simulators.world import World
from tests.polled import Line
from tests.specimens.sps30 import NAMES

START = bytes.fromhex("7e 00 00 02 01 03 f9 7e")
READ = bytes.fromhex("7e 00 03 00 fc 7e")
FLOATS = struct.pack(">10f", *range(10))


def answer(command: int, state: int = 0, content: bytes = b"") -> bytes:
    """An answer as the framer hands it out."""
    frame = bytes([0, command, state, len(content)]) + content
    return frame + bytes([0xFF - sum(frame) % 0x100])


class Sensor:
    """A decoder that is asked once a second."""

    def __init__(self) -> None:
        self.decoder = Sps30Decoder()
        self.decoder.begin(0.0)
        self.now_s = 0.0

    def ask(self) -> bytes:
        request = self.decoder.ask(self.now_s)
        assert isinstance(request, Request)
        self.now_s += 1.0
        return request.data

    def hear(self, data: bytes) -> Verdict:
        return self.decoder.decode(Frame(data, 0))

    def fail(self) -> None:
        self.decoder.give_up(self.now_s, Poll.TIMEOUT)

    def started(self) -> "Sensor":
        assert self.ask() == START
        assert self.hear(answer(0)) == Learned()
        return self


def test_it_starts_the_measurement_once_and_reads_it() -> None:
    sensor = Sensor().started()
    assert isinstance(sensor.decoder, Asker)
    assert sensor.decoder.outcome() is Poll.ANSWERED
    for _ in range(3):
        assert sensor.ask() == READ
        assert sensor.decoder.outcome() is None
        verdict = sensor.hear(answer(3, 0, FLOATS))
        assert isinstance(verdict, Decoded)
        assert dict(verdict.readings[0].values) == dict(zip(NAMES, range(10), strict=True))
        assert sensor.decoder.outcome() is Poll.ANSWERED


def test_a_sensor_that_measures_already_is_read() -> None:
    sensor = Sensor()
    assert sensor.ask() == START
    assert sensor.hear(answer(0, 0x43)) == Learned()
    assert sensor.decoder.outcome() is Poll.ANSWERED
    assert sensor.ask() == READ


def test_nothing_new_is_an_answer() -> None:
    sensor = Sensor().started()
    assert sensor.ask() == READ
    assert sensor.hear(answer(3)) == Learned()
    assert sensor.decoder.outcome() is Poll.ANSWERED
    assert sensor.ask() == READ


def test_a_sensor_that_does_not_measure_is_started_again() -> None:
    sensor = Sensor().started()
    sensor.ask()
    refusal = answer(3, 0x43)
    assert sensor.hear(refusal) == Malformed(Reason.EXCEPTION, refusal)
    assert sensor.decoder.outcome() is Poll.EXCEPTION
    assert sensor.ask() == START


def test_a_sensor_that_did_not_answer_is_started_again() -> None:
    sensor = Sensor().started()
    sensor.ask()
    sensor.fail()
    assert sensor.ask() == START
    sensor.fail()
    assert sensor.ask() == START


def test_a_line_that_was_opened_again_begins_with_a_start() -> None:
    sensor = Sensor().started()
    sensor.decoder.begin(sensor.now_s)
    assert sensor.ask() == START


def test_a_sensor_without_anything_new_for_long_is_started_again() -> None:
    sensor = Sensor().started()
    for _ in range(2):
        for _ in range(READINGS_WITHOUT):
            assert sensor.ask() == READ
            sensor.hear(answer(3))
        assert sensor.ask() == START
        sensor.hear(answer(0, 0x43))


def test_other_refusals_are_counted_and_become_a_problem() -> None:
    sensor = Sensor().started()
    for _ in range(3):
        assert sensor.decoder.problems() == ()
        assert sensor.ask() == READ
        sensor.hear(answer(3, 0x28))
        assert sensor.decoder.outcome() is Poll.EXCEPTION
    assert sensor.decoder.problems() == ("the device refused the last 3 requests",)


def test_a_start_that_is_refused_is_tried_again() -> None:
    sensor = Sensor()
    for _ in range(2):
        assert sensor.ask() == START
        assert isinstance(sensor.hear(answer(0, 4)), Malformed)
        assert sensor.decoder.outcome() is Poll.EXCEPTION


def test_a_fault_is_a_problem_and_no_reason_to_lose_values() -> None:
    sensor = Sensor().started()
    sensor.ask()
    assert isinstance(sensor.hear(answer(3, 0x80, FLOATS)), Decoded)
    assert sensor.decoder.problems() == ("the sensor reports a fault of its fan or laser",)
    sensor.hear(answer(3, 0x00, FLOATS))
    assert sensor.decoder.problems() == ()


def test_a_fault_does_not_hide_a_refusal() -> None:
    sensor = Sensor().started()
    sensor.ask()
    assert isinstance(sensor.hear(answer(3, 0xC3)), Malformed)
    assert sensor.ask() == START


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (START[1:-1], Ignored(Reason.ECHO)),
        (READ[1:-1], Ignored(Reason.ECHO)),
        (answer(0xD1, 0, b"\x02\x02\x00\x07\x00\x02\x00"), Ignored(Reason.UNSUPPORTED)),
        (answer(3, 0, FLOATS[:-1]), Malformed(Reason.SYNTAX, answer(3, 0, FLOATS[:-1]))),
        (b"\x00\x03\x00\x01\xfb", Malformed(Reason.SYNTAX, b"\x00\x03\x00\x01\xfb")),
        (b"\x00\x03\x00\x00\xfd", Malformed(Reason.CHECKSUM, b"\x00\x03\x00\x00\xfd")),
        (b"", Malformed(Reason.CHECKSUM)),
        (b"\xff", Malformed(Reason.CHECKSUM, b"\xff")),
    ],
)
def test_what_is_no_answer(data: bytes, verdict: Verdict) -> None:
    sensor = Sensor().started()
    sensor.ask()
    assert sensor.hear(data) == verdict
    assert sensor.decoder.outcome() is None


def test_a_listener_reads_what_others_ask_for() -> None:
    stuffed = answer(3, 0, FLOATS).replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    stream = (READ + b"\x7e" + stuffed + b"\x7e") * 3
    assert len(readings_of(DEVICE, [stream], Vector(b"", ()))) == 3


def wired(sensor: Sps30) -> tuple[Line, list[Reply]]:
    sent: list[Reply] = []

    def respond(data: bytes, t: float) -> list[Reply]:
        replies = sensor.receive(data, t)
        sent.extend(replies)
        return replies

    return Line("sps30", respond, baudrate=115_200), sent


def fields(reply: Reply) -> dict[str, float]:
    return dict(zip(NAMES, reply.values.values(), strict=True))


def test_a_sensor_at_the_end_of_a_line() -> None:
    async def main() -> None:
        line, sent = wired(make("dust", partial(World(1).value, "street")))
        await line.run(60.5)
        assert [data for _, data in line.written] == [START, *[READ] * 60]
        assert (line.account.polls, line.account.answered) == (61, 61)
        stored = await line.observations()
        assert len(stored) >= 58
        true = [fields(reply) for reply in sent if reply.values]
        for each, exact in zip(stored, true, strict=True):
            assert each.fields == pytest.approx(exact, rel=1e-7)  # as a float32 is

    virtual_time.run(main())


def test_integers_are_read_where_somebody_else_started_them() -> None:
    async def main() -> None:
        sensor = make("dust", partial(World(1).value, "street"))
        sensor.receive(bytes.fromhex("7e 00 00 02 01 05 f7 7e"), 0.0)
        line, sent = wired(sensor)
        await line.run(20.5)
        stored = await line.observations()
        assert len(stored) >= 18
        for each, reply in zip(stored, [r for r in sent if r.values], strict=True):
            wire = fields(reply)
            wire["typical_particle_size"] /= 1000
            assert each.fields == wire

    virtual_time.run(main())


def test_a_sensor_that_was_without_power_is_started_again() -> None:
    async def main() -> None:
        sensor = make("dust", partial(World(1).value, "street"))
        line, _ = wired(sensor)
        answers = line.respond
        await line.run(10.5)
        sensor.reset()
        line.respond = lambda _data, _t: []
        await line.run(4.5)
        assert line.poller.problems() == ["no answer to the last 5 requests"]
        line.respond = answers
        again = len(line.written)
        await line.run(10.5)
        written = [data for _, data in line.written[again:]]
        assert written == [START, *[READ] * 10]
        assert line.poller.problems() == []
        assert len(await line.observations()) >= 17

    virtual_time.run(main())


def test_power_lost_between_two_readings_costs_a_few_of_them() -> None:
    async def main() -> None:
        sensor = make("dust", partial(World(1).value, "street"))
        line, _ = wired(sensor)
        line.loop.call_at(10.5, sensor.reset)
        await line.run(30.5)
        written = [data for _, data in line.written]
        assert written[10:13] == [READ, READ, START]
        assert line.account.exceptions == 1
        assert len(await line.observations()) >= 25

    virtual_time.run(main())

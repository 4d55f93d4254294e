"""The fuzzer over every decoder, for a moment; and that it finds what it is there to find."""

from collections.abc import Callable, Sequence

import pytest

from gateway.asking import Poll, Request
from gateway.conformance import Vector
from gateway.devices import devices
from gateway.framing.delimited import Lines
from gateway.model import (
    Decoded,
    Decoder,
    Device,
    Frame,
    Framed,
    Malformed,
    Noise,
    Reading,
    Reason,
    Verdict,
)
from tests.fuzz import Failure, fuzz
from tests.fuzz.session import Tally
from tests.specimens import Specimen, specimens

INPUTS = 4_000


@pytest.mark.parametrize("name", specimens())
def test_a_decoder_survives_mutated_inputs(name: str) -> None:
    specimen = specimens()[name]
    outcome = fuzz(devices()[specimen.decoder], specimen, count=INPUTS, seed=1)
    assert isinstance(outcome, Tally), outcome.report()
    assert outcome.inputs == INPUTS
    assert outcome.decoded > INPUTS / 100, "hardly anything comes past the checksum"
    assert outcome.refused > INPUTS / 100


class Sum:
    """A frame is digits, the last of which is the sum of the others modulo 10."""

    def decode(self, frame: Frame) -> Verdict:
        if not is_valid(frame.data):
            return Malformed(Reason.CHECKSUM)
        return Decoded([Reading({"value": int(frame.data)})])


class Raising(Sum):
    """Takes for digits what are none: a superscript in Latin-1."""

    def decode(self, frame: Frame) -> Verdict:
        if frame.data.decode("latin-1").isdigit() and int(frame.data.decode("latin-1")) < 0:
            return Malformed(Reason.SYNTAX)
        return super().decode(frame)


class Hoarding(Sum):
    def __init__(self) -> None:
        self._all: list[bytes] = []

    def decode(self, frame: Frame) -> Verdict:
        self._all.append(frame.data + bytes(50))
        return super().decode(frame)


class Trusting(Sum):
    def decode(self, frame: Frame) -> Verdict:
        if not frame.data.isdigit():
            return Malformed(Reason.SYNTAX)
        return Decoded([Reading({"value": 1})])


class Deaf(Sum):
    """Asks, and takes no word for an answer."""

    def __init__(self) -> None:
        self._asked = False

    def begin(self, now_s: float) -> None:
        self._asked = False

    def ask(self, now_s: float) -> Request | float:
        if self._asked:
            raise ValueError("asked while a request is under way")
        self._asked = True
        return Request(b"?", answer_size=4)

    def outcome(self) -> Poll | None:
        return None

    def give_up(self, now_s: float, poll: Poll) -> None:
        """Forgets that the request is over."""

    def problems(self) -> Sequence[str]:
        return ()


class Losing(Lines):
    """Loses what it is given in pieces of one byte."""

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        return super().feed(data) if len(data) != 1 else []


def is_valid(data: bytes) -> bool:
    digits = [byte - ord("0") for byte in data]
    return len(data) > 1 and data.isdigit() and sum(digits[:-1]) % 10 == digits[-1]


def seal(data: bytes) -> bytes:
    digits = bytes(byte for byte in data if chr(byte).isdigit())[:-1]
    return digits + b"%d\n" % (sum(byte - ord("0") for byte in digits) % 10)


SPECIMEN = Specimen(
    "sum", [Vector(b"1236\n", [Reading({"value": 1236})])], b"\n", valid=is_valid, seal=seal
)


def outcome_of(decoder: Callable[[], Decoder], framer: Callable[..., Lines] = Lines) -> object:
    return fuzz(Device("sum", "", decoder, framer), SPECIMEN, count=INPUTS, seed=1)


def test_a_sound_decoder_passes_and_the_same_seed_does_the_same() -> None:
    outcome = outcome_of(Sum)
    assert isinstance(outcome, Tally)
    assert outcome.decoded > INPUTS / 4, "checksums are made right"
    assert outcome == outcome_of(Sum)


@pytest.mark.parametrize(
    ("decoder", "framer", "words", "most"),
    [
        (Raising, Lines, "ValueError", 4),
        (Hoarding, Lines, "bytes are remembered", INPUTS),
        (Trusting, Lines, "a frame whose checksum is wrong was decoded", 4),
        (Deaf, Lines, "asked while a request is under way", 64),
        (Sum, Losing, "bytes are lost or counted twice", 4),
    ],
)
def test_who_breaks_a_law_is_found_with_few_inputs_that_show_it(
    decoder: Callable[[], Decoder], framer: Callable[..., Lines], words: str, most: int
) -> None:
    outcome = outcome_of(decoder, framer)
    assert isinstance(outcome, Failure)
    assert words in outcome.words
    assert 0 < len(outcome.inputs) <= most
    assert repr(outcome.inputs[-1]) in outcome.report()

"""The conformance checks can fail: each meets a part that breaks its law."""

from collections.abc import Sequence

import pytest

from gateway.conformance import Vector, check_decoder, check_framer
from gateway.framing.delimited import Lines
from gateway.model import Decoded, Device, Frame, Framed, Malformed, Noise, Reading, Reason, Verdict


class Forgetful(Lines):
    """Loses a byte of every chunk of two or more."""

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        return super().feed(data[: max(len(data) - 1, 1)])


class Impatient:
    """Takes every chunk for a frame."""

    buffered = 0

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        return [Framed(data, len(data))] if data else []

    def close(self) -> Sequence[Noise]:
        return []


class Hoarder(Impatient):
    """Never gives anything back."""

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        self.buffered += len(data)
        return []


class Parity:
    """A frame is two equal digits; `trusting` does not compare them."""

    def __init__(self, *, trusting: bool = False) -> None:
        self._trusting = trusting

    def decode(self, frame: Frame) -> Verdict:
        first, second = frame.data[:1], frame.data[1:2]
        if len(frame.data) == 2 and first.isdigit() and (self._trusting or first == second):
            return Decoded([Reading({"value": float(first)})])
        return Malformed(Reason.CHECKSUM)


class Fragile(Parity):
    def decode(self, frame: Frame) -> Verdict:
        frame.data.decode("ascii")
        return super().decode(frame)


VECTORS = [Vector(b"77\n", [Reading({"value": 7.0})], checksummed=True)]


def device(decoder: type[Parity], **options: bool) -> Device:
    return Device("digits", "", lambda: decoder(**options), framer=Lines)


def test_a_sound_framer_and_decoder_pass() -> None:
    check_framer(Lines, b"a\nbc\n", [b"a", b"bc"])
    check_decoder(device(Parity), VECTORS, resync=b"\n")


@pytest.mark.parametrize("framer", [Forgetful, Impatient, Hoarder])
def test_a_framer_that_breaks_its_law_is_found(framer: type[Impatient]) -> None:
    with pytest.raises(AssertionError):
        check_framer(framer, b"a\nbc\n", [b"a", b"bc"])


def test_a_decoder_that_overlooks_damage_is_found() -> None:
    with pytest.raises(AssertionError, match="is not noticed"):
        check_decoder(device(Parity, trusting=True), VECTORS, resync=b"\n")


def test_a_decoder_that_raises_is_found() -> None:
    with pytest.raises(UnicodeDecodeError):
        check_decoder(device(Fragile), VECTORS, resync=b"\n")


def test_a_wrong_expectation_is_found() -> None:
    with pytest.raises(AssertionError):
        check_decoder(device(Parity), [Vector(b"77\n", [Reading({"value": 8.0})])], resync=b"\n")

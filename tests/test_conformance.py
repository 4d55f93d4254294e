"""The conformance checks can fail: each meets a part that breaks its law."""

import sys
import tomllib
from collections.abc import Sequence

import pytest

from gateway.conformance import Vector, check_decoder, check_framer, check_verdict
from gateway.framing.delimited import Lines
from gateway.model import Decoded, Device, Frame, Framed, Malformed, Noise, Reading, Reason, Verdict
from tests.test_tidy import ROOT, imports


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


def test_a_decoder_that_overlooks_damage_is_found_and_the_bit_named() -> None:
    with pytest.raises(AssertionError, match="damage is not noticed") as raised:
        check_decoder(device(Parity, trusting=True), VECTORS, resync=b"\n")
    assert raised.value.__notes__ == ["bit 0 of byte 0 flipped: bytearray(b'67\\n')"]


def test_a_decoder_that_raises_is_found_and_the_frame_shown() -> None:
    with pytest.raises(UnicodeDecodeError) as raised:
        check_decoder(device(Fragile), VECTORS, resync=b"\n")
    frame, _ = raised.value.__notes__
    assert frame.startswith("the frame: b'")


def test_a_wrong_expectation_is_found_and_both_are_shown() -> None:
    with pytest.raises(AssertionError, match="and should be") as raised:
        check_decoder(device(Parity), [Vector(b"77\n", [Reading({"value": 8.0})])], resync=b"\n")
    assert "'value': 7.0" in str(raised.value)
    assert "'value': 8.0" in str(raised.value)
    assert raised.value.__notes__ == ["whole: [b'\\n77\\n']"]


@pytest.mark.parametrize(
    "verdict",
    [
        Malformed("checksum"),  # type: ignore[arg-type]
        Decoded([]),
        Decoded([Reading({})]),
        Decoded([Reading({"a": None})]),  # type: ignore[dict-item]
        Decoded([Reading({"a": 1}, observed_at_ns=1.5)]),  # type: ignore[arg-type]
        Decoded([], [b"rubbish"]),  # type: ignore[list-item]
        None,
    ],
)
def test_a_verdict_that_is_not_well_formed_is_found(verdict: Verdict) -> None:
    with pytest.raises(AssertionError, match=" "):
        check_verdict(verdict)


def test_the_checks_come_with_the_package_and_need_no_more_than_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "gateway*" in project["tool"]["setuptools"]["packages"]["find"]["include"]
    source = (ROOT / "gateway" / "conformance.py").read_text()
    needed = {name.partition(".")[0] for _, name in imports(source)}
    assert needed <= {"gateway", *sys.stdlib_module_names}

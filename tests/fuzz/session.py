"""One decoder and its framer under a row of inputs, and the laws that must hold after each.

What else is done with an input (in how many pieces it comes, whether the decoder is asked before
it, whether the framer is closed after it) is drawn from the input's own bytes: so the same inputs
break the same law again, in whichever session.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from gateway.asking import Asker, Poll, Request
from gateway.conformance import ARRIVAL_NS, BUFFERED_MAX, Vector, check_verdict
from gateway.model import Decoded, Device, Frame, Framed, Learned, Noise
from tests.fuzz.size import size_of
from tests.specimens import Specimen

STATE_MAX: Final = 1 << 18
"""256 KiB: the most that one source's decoder and framer may remember here."""

ASKED_MAX: Final = 100
"""A decoder may ask for nothing that is answered so often in a row."""


@dataclass(slots=True)
class Tally:
    """What was done, and the most that was kept."""

    inputs: int = 0
    frames: int = 0
    decoded: int = 0
    refused: int = 0
    """Also ignored and repeated frames, and elements of those that were decoded."""
    buffered: int = 0
    state: int = 0

    def add(self, other: "Tally") -> None:
        self.inputs += other.inputs
        self.frames += other.frames
        self.decoded += other.decoded
        self.refused += other.refused
        self.buffered = max(self.buffered, other.buffered)
        self.state = max(self.state, other.state)


class Session:
    """Raises whatever a decoder or framer raises, and AssertionError where it breaks a law."""

    def __init__(self, device: Device, specimen: Specimen, vector: Vector) -> None:
        self.tally = Tally()
        self._valid = specimen.valid
        self._vector = vector
        self._decoder = device.make_decoder(vector.options)
        self._framer = device.make_framer(vector.options)
        self._fed = self._out = 0
        self._now_s = 0.0
        self._waits = False
        """A request is under way."""
        if isinstance(self._decoder, Asker):
            self._decoder.begin(self._now_s)

    def feed(self, data: bytes) -> None:
        chance = crc32(data)
        if isinstance(self._decoder, Asker) and not self._waits:
            self._ask(self._decoder, chance)
        if chance >> 2 & 7 == 0:
            cut = (chance >> 8) % (len(data) + 1)
            self._take(data[:cut])
            self._take(data[cut:])
        else:
            self._take(data)
        if self._framer is not None and chance >> 5 & 31 == 0:
            self._close()
        if isinstance(self._decoder, Asker) and self._waits:
            self._settle(self._decoder, chance)
        self.tally.inputs += 1

    def probe(self) -> None:
        """Measure what is remembered."""
        size = size_of(self._decoder, self._framer)
        self.tally.state = max(self.tally.state, size)
        assert size <= STATE_MAX, f"{size} bytes are remembered"

    def _take(self, data: bytes) -> None:
        if self._framer is None:
            vector = self._vector
            self._decode(Frame(data, ARRIVAL_NS, vector.topic, vector.captures))
            return
        self._fed += len(data)
        self._count(self._framer.feed(data))
        buffered = self._framer.buffered
        self.tally.buffered = max(self.tally.buffered, buffered)
        assert buffered <= BUFFERED_MAX, f"{buffered} bytes are buffered"
        assert self._fed == self._out + buffered, "bytes are lost or counted twice"

    def _close(self) -> None:
        assert self._framer is not None
        self._count(self._framer.close())
        assert self._framer.buffered == 0, "close() keeps bytes"
        assert self._fed == self._out, "close() loses bytes"

    def _count(self, items: Sequence[Framed | Noise]) -> None:
        for item in items:
            assert item.size > 0
            self._out += item.size
            if isinstance(item, Framed):
                self._decode(Frame(item.data, ARRIVAL_NS, first=item.first))

    def _decode(self, frame: Frame) -> None:
        verdict = self._decoder.decode(frame)
        check_verdict(verdict)
        tally = self.tally
        tally.frames += 1
        if isinstance(verdict, Decoded):
            tally.decoded += 1
            tally.refused += len(verdict.malformed)
            assert not verdict.readings or self._valid(frame.data), (
                f"a frame whose checksum is wrong was decoded: {frame.data!r}"
            )
        elif not isinstance(verdict, Learned):
            tally.refused += 1

    def _ask(self, decoder: Asker, chance: int) -> None:
        """Let time pass until the decoder wants an answer; sometimes the line is opened anew."""
        if chance >> 10 & 63 == 0:
            decoder.begin(self._now_s)
        for _ in range(ASKED_MAX):
            step = decoder.ask(self._now_s)
            if not isinstance(step, Request):
                assert step > self._now_s, "it is to be asked again at once, for ever"
                self._now_s = step
                continue
            assert step.data, "a request without bytes"
            if chance >> 16 & 7 == 0:
                self._take(step.data)  # its echo
            if step.answer_size:
                self._waits = True
                return

    def _settle(self, decoder: Asker, chance: int) -> None:
        """The input was an answer, or something else, and is waited for no more, or goes on."""
        poll = decoder.outcome()
        if poll is None and chance >> 19 & 3 == 0:
            self._now_s += 1.0
            decoder.give_up(self._now_s, Poll.INVALID if chance >> 21 & 1 else Poll.TIMEOUT)
            self._waits = False
        elif poll is not None:
            assert poll in {Poll.ANSWERED, Poll.EXCEPTION}, f"{poll} is not the decoder's to say"
            self._waits = False
        assert all(isinstance(words, str) for words in decoder.problems())

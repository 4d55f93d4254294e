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

_NOTHING_ASKED: Final = Request(b"")


@dataclass(slots=True)
class Tally:
    """What was done, and the most that was kept."""

    inputs: int = 0
    frames: int = 0
    decoded: int = 0
    refused: int = 0
    """Also ignored and repeated."""
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
        if isinstance(self._decoder, Asker):
            self._decoder.begin(self._now_s)

    def feed(self, data: bytes) -> None:
        chance = crc32(data)
        request = self._ask(chance) if chance % 4 == 0 else _NOTHING_ASKED
        if chance >> 2 & 7 == 0:
            cut = (chance >> 8) % (len(data) + 1)
            self._take(data[:cut])
            self._take(data[cut:])
        else:
            self._take(data)
        if request.answer_size:
            self._settle(heard=chance >> 5 & 1 == 0)
        if self._framer is not None and chance >> 5 & 31 == 0:
            self._close()
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
            assert not verdict.readings or self._valid(frame.data), (
                f"a frame whose checksum is wrong was decoded: {frame.data!r}"
            )
        elif not isinstance(verdict, Learned):
            tally.refused += 1

    def _ask(self, chance: int) -> Request:
        """Let time pass and a decoder that asks say what it wants; sometimes its echo comes."""
        decoder = self._decoder
        if not isinstance(decoder, Asker):
            return _NOTHING_ASKED
        self._now_s += (chance >> 8 & 0xFF) / 10
        if chance >> 16 & 63 == 0:
            decoder.begin(self._now_s)
        request = decoder.ask(self._now_s)
        if not isinstance(request, Request):
            assert request > self._now_s, "it is to be asked again at once, for ever"
            self._now_s = request
            return _NOTHING_ASKED
        assert request.data
        assert request.answer_size >= 0
        if chance >> 22 & 7 == 0:
            self._take(request.data)
        return request

    def _settle(self, *, heard: bool) -> None:
        """What an answer that came, or came not, makes of the request."""
        decoder = self._decoder
        assert isinstance(decoder, Asker)
        poll = decoder.outcome()
        if poll is None:
            decoder.give_up(self._now_s, Poll.INVALID if heard else Poll.TIMEOUT)
        else:
            assert poll in {Poll.ANSWERED, Poll.EXCEPTION}
        assert all(isinstance(words, str) for words in decoder.problems())

"""NMEA 0183: satellite receivers, weather stations and instruments of boats.

    $GPGGA,101530.00,5419.2000,N,01008.4000,E,1,08,0.9,12.0,M,44.9,M,,*57 CR LF
    $ talker (2) sentence (3) , fields ... * checksum, the exclusive or of what is between $ and *

Link: 4800 8N1 by the standard, receivers also 9600 and more. Sentences follow one another, on some
receivers between binary messages (UBX), which are noise here. Only `*hh` proves a sentence whole:
without it a sentence is refused, unless `checksum = "optional"`.

One sentence is one reading, with the talker as a tag, for a multiplexer carries several sources.
Sentences of one instant (GGA, RMC, GLL) have one time and one series: the database has one point.

    gnss     GGA RMC GLL position, speed, course, quality   VTG speed, course   GSA dilution, mode
             GSV satellites in view   ZDA only the date
    weather  MWV wind at the boat, apparent (R) or true (T)   MWD wind from north   MDA air and wind
    water    DBT DPT depth   MTW temperature   VHW speed, heading   HDG HDT heading
    sensor   XDR, any transducer, its name as a tag; in `weather` where the talker is WI

Proprietary sentences ($P...), AIS (!...) and all others are checked and ignored.

Traps:
- The unit stands in the field behind a number, and is read. An empty field is no value.
- A position, and its time, is used only where RMC and GLL say A and not mode N, and GGA a quality
  other than 0; the status itself is always a value. Quality 8 is a simulation, but a position.
- RMC and ZDA tell the date, GGA and GLL the time of day only. The day is then the one nearest to
  the last instant known, so midnight may pass between sentences; after _DATE_HELD_NS of silence the
  date is forgotten. A receiver that is wrong by 1,024 weeks tells a date of the past: such a time
  is refused where times are judged (`gateway.times`).
- Headings and courses are true ones; those to the magnetic north have it in their name.
- DPT's offset is not in `depth`, which is always below the transducer, as DBT has it.
- The absolute humidity of MDA is not read: the standard does not say its unit.
- GSV of one talker may count per signal (since 4.11): then the signal is a tag.
"""

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import ConfigError
from gateway.framing.checksums import xor8
from gateway.framing.scanner import Scanner, noise
from gateway.ledger import EXAMPLE_BYTES
from gateway.model import (
    Decoded,
    Device,
    Frame,
    Framed,
    Ignored,
    Learned,
    Malformed,
    Noise,
    Reading,
    Reason,
    Verdict,
)
from gateway.protocols.nmea import DAY_NS, SENTENCES, Sentence, Transducer, transducers

SENTENCE_MAX: Final = 255
"""The standard says 82 with all delimiters; proprietary sentences of receivers are longer."""

_BODY: Final = rb"[0-9A-Z]{2}[^$!\x00-\x1f\x7f]{3,%d}" % (SENTENCE_MAX - 3)
"""From the talker on: with less, too much that is binary would pass for a damaged sentence."""

_WHOLE: Final = re.compile(rb"([$!]%b+)\r{0,2}\n" % _BODY)
_LAST: Final = re.compile(rb"([$!]%b\*[0-9A-Fa-f]{2})\r{0,2}" % _BODY)
"""Its checksum proves the last sentence of a stream whole, though its line is not ended."""

_BEGUN: Final = re.compile(
    rb"[$!][0-9A-Z]{0,2}|[$!][0-9A-Z]{2}[^$!\x00-\x1f\x7f]{0,%d}\r{0,2}" % (SENTENCE_MAX - 3)
)
_START: Final = re.compile(rb"[$!]")


class Sentences(Scanner):
    """`Framer` for lines of printable characters from `$` or `!` on, amid anything."""

    def __init__(self) -> None:
        super().__init__(SENTENCE_MAX + len("\r\r\n"))

    def step(self, buffer: bytearray, *, ended: bool) -> Framed | Noise | None:
        sentence = _WHOLE.match(buffer) or (_LAST.fullmatch(buffer) if ended else None)
        if sentence is not None:
            return Framed(bytes(sentence[1]), sentence.end())
        if not ended and _BEGUN.fullmatch(buffer) is not None:
            return None
        reason = Reason.INTERRUPTED if _START.match(buffer) else Reason.GARBAGE
        start = _START.search(buffer, 1)
        return noise(buffer, start.start() if start else len(buffer), reason)


_TALKER: Final = re.compile(r"[0-9A-OQ-Z][0-9A-Z]")
"""P begins proprietary sentences. Converters from NMEA 2000 put the address of the source here."""

_DATE_HELD_NS: Final = 3_600_000_000_000
"""Longer than any pause of a receiver that runs, shorter than what could make its day another."""


class _Clock:
    """The time in UTC of sentences that tell only the time of day."""

    def __init__(self) -> None:
        self._last_ns: int | None = None
        self._received_at_ns = 0

    def instant(self, sentence: Sentence, received_at_ns: int) -> int | None:
        """The sentence's time, if it states one and the day is known."""
        if sentence.time_ns is None:
            return None
        day_ns = sentence.day_ns
        if day_ns is None and self._last_ns is not None:
            if abs(received_at_ns - self._received_at_ns) > _DATE_HELD_NS:
                self._last_ns = None
                return None
            nearest = self._last_ns + DAY_NS // 2 - sentence.time_ns
            day_ns = nearest // DAY_NS * DAY_NS
        if day_ns is not None:
            self._last_ns = day_ns + sentence.time_ns
            self._received_at_ns = received_at_ns
        return self._last_ns


class Nmea0183Decoder:
    """One stream's decoder; with `checksum = "optional"` sentences need none."""

    def __init__(self, *, checksum: str = "required") -> None:
        if checksum not in ("required", "optional"):
            raise ConfigError(['checksum: allowed: "required" or "optional"'])
        self._required = checksum == "required"
        self._clock = _Clock()

    def decode(self, frame: Frame) -> Verdict:
        data = frame.data.strip(b"\r\n")
        body = self._body(data)
        if isinstance(body, Reason):
            return Malformed(body, data[:EXAMPLE_BYTES])
        address, _, fields = body.decode("latin-1").partition(",")
        talker, formatter = address[:2], address[2:]
        unknown = formatter not in SENTENCES and formatter != "XDR"
        if unknown or data[:1] == b"!" or not _TALKER.fullmatch(talker):
            return Ignored(Reason.UNSUPPORTED)
        sentence = Sentence(fields)
        if formatter == "XDR":
            readings = _xdr(sentence, talker)
        else:
            readings = self._readings(sentence, talker, formatter, frame.received_at_ns)
        if sentence.unreadable:
            bad = [Malformed(Reason.SYNTAX, text.encode()) for text in sentence.unreadable]
            return Decoded(readings, bad)
        if readings:
            return Decoded(readings)
        return Learned() if sentence.day_ns is not None else Ignored(Reason.UNAVAILABLE)

    def _body(self, data: bytes) -> bytes | Reason:
        """What the checksum proves, or what is wrong."""
        if len(data) > SENTENCE_MAX:
            return Reason.TOO_LARGE
        if not data.startswith((b"$", b"!")):
            return Reason.SYNTAX
        body, star, checksum = data[1:].partition(b"*")
        if not star:
            return Reason.CHECKSUM if self._required else body
        return body if checksum.upper() == b"%02X" % xor8(body) else Reason.CHECKSUM

    def _readings(
        self, sentence: Sentence, talker: str, formatter: str, received_at_ns: int
    ) -> list[Reading]:
        kind = SENTENCES[formatter]
        kind.read(sentence)
        observed_at_ns = self._clock.instant(sentence, received_at_ns)
        if not sentence.values:
            return []
        return [
            Reading(
                sentence.values,
                sentence.units,
                measurement=kind.measurement,
                tags={"talker": talker, **sentence.tags},
                observed_at_ns=observed_at_ns,
            )
        ]


def _xdr(sentence: Sentence, talker: str) -> list[Reading]:
    """One reading for each transducer; what one of them says in a row belongs together."""
    weather = talker == "WI"
    return [
        Reading(
            {each.field: each.value for each in run},
            {each.field: each.unit for each in run},
            measurement="weather" if weather else "sensor",
            tags={"talker": talker, **({"transducer": run[0].name} if run[0].name else {})},
        )
        for run in _runs(transducers(sentence, weather=weather))
    ]


def _runs(found: Iterable[Transducer]) -> list[list[Transducer]]:
    runs: list[list[Transducer]] = []
    for each in found:
        run = runs[-1] if runs else []
        same = any(other.name == each.name for other in run)
        if same and all(other.field != each.field for other in run):
            run.append(each)
        else:
            runs.append([each])
    return runs


DEVICE = Device(
    name="nmea0183",
    summary="NMEA 0183 sentences of satellite receivers, wind and boat instruments",
    decoder=Nmea0183Decoder,
    framer=Sentences,
    options=frozenset({"checksum"}),
    baudrates=(4800, 9600, 38400, 115200),
)

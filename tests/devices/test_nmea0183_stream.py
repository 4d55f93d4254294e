"""NMEA 0183: what day it is, and what is a sentence at all."""

import re
from datetime import UTC, datetime

import pytest

from gateway.conformance import ARRIVAL_NS, check_framer, feed
from gateway.devices import nmea0183
from gateway.devices.nmea0183 import SENTENCE_MAX, Nmea0183Decoder, Sentences
from gateway.errors import ConfigError
from gateway.model import (
    Decoded,
    Frame,
    Framed,
    Ignored,
    Learned,
    Malformed,
    Noise,
    Reason,
    Verdict,
)
from tests.specimens.nmea0183 import sentence

HOUR_NS = 3_600_000_000_000
PLACE = "5419.2000,N,01008.4000,W"


def decode(
    body: str, decoder: Nmea0183Decoder | None = None, received_at_ns: int = ARRIVAL_NS
) -> Verdict:
    frame = Frame(sentence(body).strip(), received_at_ns)
    return (decoder or Nmea0183Decoder()).decode(frame)


def ns(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return round(moment.timestamp()) * 1_000_000_000


# ------------------------------------------------------------------------------------- time

RMC = f"A,{PLACE},5.1,84.4,{{}},,,A"
GGA = f"{PLACE},1,08,0.9,5,M,,M,,"


def times(*bodies: str) -> list[int | None]:
    decoder = Nmea0183Decoder()
    verdicts = [decode(body, decoder) for body in bodies]
    found = [v.readings[0] for v in verdicts if isinstance(v, Decoded)]
    return [reading.observed_at_ns for reading in found]


def test_a_time_of_day_alone_is_no_time() -> None:
    assert times(f"GPGGA,100000,{GGA}", f"GPGLL,{PLACE},100000,A,A") == [None, None]


def test_a_date_is_remembered() -> None:
    assert times(f"GNRMC,100000,{RMC.format('290224')}", f"GPGGA,100001.5,{GGA}") == [
        ns(2024, 2, 29, 10),
        ns(2024, 2, 29, 10, 0, 1) + 500_000_000,
    ]
    assert decode("GPZDA,100000.00,29,02,2024,00,00") == Learned()
    assert times("GPZDA,100000.00,29,02,2024,,", f"GPGGA,100001,{GGA}") == [
        ns(2024, 2, 29, 10, 0, 1)
    ]


def test_midnight_passes_between_two_sentences() -> None:
    assert times(
        f"GPRMC,235959,{RMC.format('280224')}",
        f"GPGGA,000000,{GGA}",
        f"GPGGA,235959.9,{GGA}",  # of another receiver, a little later
        f"GPGGA,000001,{GGA}",
        f"GPRMC,000001,{RMC.format('290224')}",
    ) == [
        ns(2024, 2, 28, 23, 59, 59),
        ns(2024, 2, 29),
        ns(2024, 2, 28, 23, 59, 59) + 900_000_000,
        ns(2024, 2, 29, 0, 0, 1),
        ns(2024, 2, 29, 0, 0, 1),
    ]


def test_days_without_a_date_are_counted() -> None:
    hours = [f"GPGGA,{hour % 24:02}0000,{GGA}" for hour in range(11, 11 + 60)]
    found = times(f"GPRMC,100000,{RMC.format('300424')}", *hours)
    assert found == [ns(2024, 4, 30, 10) + hour * HOUR_NS for hour in range(61)]


def test_a_date_is_forgotten_in_a_long_silence() -> None:
    decoder = Nmea0183Decoder()
    decode(f"GPRMC,100000,{RMC.format('300424')}", decoder)
    for later_ns, known in ((HOUR_NS, True), (2 * HOUR_NS + 1, False), (2 * HOUR_NS + 2, False)):
        verdict = decode(f"GPGGA,110000,{GGA}", decoder, ARRIVAL_NS + later_ns)
        assert isinstance(verdict, Decoded)
        assert (verdict.readings[0].observed_at_ns is not None) == known


def test_the_date_of_a_receiver_without_a_fix_is_not_believed() -> None:
    assert times("GPRMC,100000,V,,,,,,,300424,,,N", f"GPGGA,100001,{GGA}") == [None, None]


def test_a_leap_second() -> None:
    assert times(f"GPRMC,235960,{RMC.format('311216')}") == [ns(2017, 1, 1)]


# ------------------------------------------------------------------------- whole or not whole


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b"$PUBX,00,*1F", Ignored(Reason.UNSUPPORTED)),
        (b"$PUBX,00,*34", Malformed(Reason.CHECKSUM, b"$PUBX,00,*34")),
        (b"!AIVDM,1,1,,A,15M67F,0*28", Ignored(Reason.UNSUPPORTED)),
        (b"!AIVDM,1,1,,A,15M67F,0*29", Malformed(Reason.CHECKSUM, b"!AIVDM,1,1,,A,15M67F,0*29")),
        (b"$YXMTW,15.2,C", Malformed(Reason.CHECKSUM, b"$YXMTW,15.2,C")),
        (b"$YXMTW,15.2,C*", Malformed(Reason.CHECKSUM, b"$YXMTW,15.2,C*")),
        (b"$YXMTW,15.2,C*14 ", Malformed(Reason.CHECKSUM, b"$YXMTW,15.2,C*14 ")),
        (b"YXMTW,15.2,C*14", Malformed(Reason.SYNTAX, b"YXMTW,15.2,C*14")),
        (b"", Malformed(Reason.SYNTAX, b"")),
        (b"$*00", Ignored(Reason.UNSUPPORTED)),
        (b"$" * (SENTENCE_MAX + 1), Malformed(Reason.TOO_LARGE, b"$" * 200)),
    ],
)
def test_checked_and_perhaps_ignored(data: bytes, verdict: Verdict) -> None:
    assert Nmea0183Decoder().decode(Frame(data, ARRIVAL_NS)) == verdict


@pytest.mark.parametrize(
    "body", ["GPXTE,A,A,,L,N", "CCGPQ,GGA", "GPGSVH,3,2,10", "GP", "gpMTW,1,C"]
)
def test_other_sentences_are_ignored(body: str) -> None:
    assert decode(body) == Ignored(Reason.UNSUPPORTED)


def test_the_checksum_may_be_made_optional() -> None:
    decoder = Nmea0183Decoder(checksum="optional")
    verdict = decoder.decode(Frame(b"$YXMTW,15.2,C\r", ARRIVAL_NS))
    assert isinstance(verdict, Decoded)
    assert verdict.readings[0].values == {"water_temperature": 15.2}
    damaged = decoder.decode(Frame(b"$YXMTW,15.3,C*14", ARRIVAL_NS))
    assert damaged == Malformed(Reason.CHECKSUM, b"$YXMTW,15.3,C*14")
    with pytest.raises(ConfigError, match='allowed: "required" or "optional"'):
        Nmea0183Decoder(checksum="none")


def test_sentences_are_found_amid_anything() -> None:
    first, second = sentence("YXMTW,15.2,C"), sentence("PUBX,00,")
    stream = (
        b"2,C*14\r\n"
        + first
        + b"\xb5\x62\x01\x07\x5c\x00$!\x0a$GP\x00"
        + first.replace(b"\r\n", b"\r\r\n")
        + b"$GPGGA,1000"
        + second.replace(b"\r\n", b"\n")
        + b"$GPTXT,"
        + b"x" * SENTENCE_MAX
        + b"\r\n"
        + second
    )
    frames = [first.strip(), first.strip(), second.strip(), second.strip()]
    check_framer(Sentences, stream, frames)
    noise = [(n.size, n.reason) for n in feed(Sentences(), [stream]) if isinstance(n, Noise)]
    assert noise[0] == (8, Reason.GARBAGE)
    assert (11, Reason.INTERRUPTED) in noise


def test_the_example_of_the_protocol_sheet() -> None:
    (example,) = re.findall(r"\$GPGGA\S+", nmea0183.__doc__ or "")
    assert isinstance(Nmea0183Decoder().decode(Frame(example.encode(), ARRIVAL_NS)), Decoded)


def test_the_last_sentence_of_a_stream_needs_no_end() -> None:
    assert [*feed(Sentences(), [b"$YXMTW,15.2,C*14"])] == [Framed(b"$YXMTW,15.2,C*14", 16)]
    assert [*feed(Sentences(), [b"$YXMTW,15.2,C*14\r"])] == [Framed(b"$YXMTW,15.2,C*14", 17)]
    (noise,) = feed(Sentences(), [b"$YXMTW,15.2,C*1"])
    assert isinstance(noise, Noise)

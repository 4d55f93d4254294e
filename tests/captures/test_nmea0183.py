"""Instruments of boats against their checksums, satellite receivers against gpsd's reports."""

import json
from datetime import datetime
from functools import reduce
from operator import xor
from typing import Any

import pytest

from gateway.conformance import ARRIVAL_NS, Vector, feed, readings_of
from gateway.devices import devices
from gateway.devices.nmea0183 import Nmea0183Decoder, Sentences
from gateway.model import Decoded, Frame, Framed, Ignored, Learned, Malformed, Reading, Reason
from tests import test_captures
from tests.stored import stored
from tests.test_captures import CAPTURES, lines

pytestmark = test_captures.pytestmark

FOLDER = CAPTURES / "nmea0183"
LOGS = ("GPSmap-76S", "blumax-gps009")
FIELDS = {
    "lat": "latitude",
    "lon": "longitude",
    "altMSL": "altitude",
    "geoidSep": "geoid_separation",
    "speed": "speed",
    "track": "course",
}
"""Of gpsd's TPV objects and ours."""

GPS_CYCLE_S = 1024 * 7 * 86_400
"""gpsd moves dates before its own release by one cycle of the week number; we say what is said."""


def is_whole(sentence: str) -> bool:
    body, star, checksum = sentence[1:].partition("*")
    return star == "*" and checksum.upper() == f"{reduce(xor, body.encode(), 0):02X}"


def test_a_sentence_is_read_exactly_where_it_is_whole() -> None:
    sentences = [line.split("\t", 1)[1] for line in lines("nmea0183/sentences.tsv")]
    assert len(sentences) == 141
    for sentence in sentences:
        verdict = Nmea0183Decoder().decode(Frame(sentence.encode(), ARRIVAL_NS))
        assert is_whole(sentence) != isinstance(verdict, Malformed), sentence


@pytest.mark.parametrize(
    ("family", "count"),
    [
        ("MWV", 2),
        ("MWD", 6),
        ("MTW", 1),
        ("DBT", 1),
        ("DPT", 2),
        ("MDA", 1),
        ("VHW", 1),
        ("HDG", 2),
    ],
)
def test_how_many_sentences_of_a_family_say_something(family: str, count: int) -> None:
    found = [line.split("\t") for line in lines("nmea0183/sentences.tsv")]
    mine = [sentence for name, sentence in found if name == f"{family}.ts"]
    stream = "".join(f"{sentence}\r\n" for sentence in mine).encode()
    assert len(readings_of(devices()["nmea0183"], [stream], Vector(b"", ()))) == count


def reports(log: str) -> dict[str, dict[str, Any]]:
    """Gpsd's last TPV object for each sentence of the log, by the sentence."""
    found: dict[str, dict[str, Any]] = {}
    sentence = ""
    for line in (FOLDER / f"{log}.log.chk").read_text(encoding="latin-1").splitlines():
        if line.startswith("$"):
            sentence = line
        elif '"TPV"' in line:
            found[sentence] = json.loads(line)
    return found


def readings(log: str) -> dict[str, Reading]:
    """Ours, by the sentence."""
    decoder = Nmea0183Decoder()
    found = {}
    for item in feed(Sentences(), [(FOLDER / f"{log}.log").read_bytes()]):
        if isinstance(item, Framed):
            verdict = decoder.decode(Frame(item.data, ARRIVAL_NS))
            if isinstance(verdict, Decoded):
                (found[item.data.decode()],) = verdict.readings
    return found


@pytest.mark.parametrize("log", LOGS)
def test_a_receivers_log_agrees_with_gpsd(log: str) -> None:
    """Gpsd puts what several sentences say into one report; compared is what our sentence says."""
    ours, compared = readings(log), 0
    for sentence, report in reports(log).items():
        if sentence[3:6] not in ("GGA", "RMC", "GLL"):
            continue
        found = stored(ours[sentence])
        assert ("latitude" in found) == ("lat" in report), sentence
        for theirs, field in FIELDS.items():
            if theirs in report and field in found:
                assert found[field] == pytest.approx(report[theirs], abs=2e-3), (sentence, field)
                if field in ("latitude", "longitude"):
                    assert found[field] == pytest.approx(report[theirs], abs=1e-8)
                compared += 1
        time_ns = ours[sentence].observed_at_ns
        if time_ns is not None and "time" in report:
            theirs_s = datetime.fromisoformat(report["time"]).timestamp()
            assert (time_ns / 1e9 - theirs_s) % GPS_CYCLE_S == pytest.approx(0, abs=1e-3)
            compared += 1
    assert compared > (3 if log == LOGS[0] else 20)


@pytest.mark.parametrize("log", LOGS)
def test_every_sentence_of_a_log_is_whole(log: str) -> None:
    stream = (FOLDER / f"{log}.log").read_bytes()
    frames = [item for item in feed(Sentences(), [stream]) if isinstance(item, Framed)]
    decoder = Nmea0183Decoder()
    verdicts = [decoder.decode(Frame(item.data, ARRIVAL_NS)) for item in frames]
    assert len(frames) == stream.count(b"\n$") + stream.startswith(b"$")
    assert all(isinstance(v, Decoded | Learned | Ignored) for v in verdicts)
    reasons = {v.reason for v in verdicts if isinstance(v, Ignored)}
    assert reasons <= {Reason.UNSUPPORTED, Reason.UNAVAILABLE}

"""Framers of marked streams: frames are found whatever stands around them, and no byte is lost."""

import random
import re

import pytest

from gateway.conformance import check_framer, feed
from gateway.framing.checksums import crc16_arc
from gateway.framing.marked import Marked
from gateway.framing.scanner import Scanner
from gateway.framing.seven_bit import SevenBit
from gateway.framing.sized import CHECKED_AHEAD, CHECKED_PER_BYTE, Sized
from gateway.framing.stuffed import Cobs, Hdlc, Slip
from gateway.model import Framed, Noise, Reason
from tests.streams import with_parity


def sentences() -> Marked:
    return Marked(re.compile(rb"\$"), re.compile(rb"\n"), size_max=82)


def telegrams() -> Marked:
    """Ends in a mark and a number of two digits."""
    return Marked(
        re.compile(rb"<<"), re.compile(rb">[0-9]{2}"), size_max=100, start_max=2, end_max=3
    )


def records() -> Sized:
    """A marker of two bytes, a length, data, and the sum of all before it."""
    return Sized(
        b"BM",
        header=3,
        length=lambda header: header[2] if header[2] > 3 else None,
        size_max=64,
        valid=lambda frame: frame[-1] == sum(frame[:-1]) & 0xFF,
    )


LONGEST = bytes(range(1, 255))
"""Of a block in COBS."""


def record(data: bytes) -> bytes:
    frame = b"BM" + bytes([len(data) + 4]) + data
    return frame + bytes([sum(frame) & 0xFF])


def framed(framer: Scanner | SevenBit, *chunks: bytes) -> list[bytes]:
    return [item.data for item in feed(framer, chunks) if isinstance(item, Framed)]


def reasons(framer: Scanner, *chunks: bytes) -> list[tuple[Reason, int]]:
    return [(item.reason, item.size) for item in feed(framer, chunks) if isinstance(item, Noise)]


def test_frames_between_marks() -> None:
    check_framer(sentences, b"$a\n$bc\n", [b"$a\n", b"$bc\n"])
    check_framer(telegrams, b"<<ab>12<<>34", [b"<<ab>12", b"<<>34"])


def test_a_second_start_begins_the_frame_anew() -> None:
    assert framed(sentences(), b"$lost$found\n") == [b"$found\n"]
    assert reasons(sentences(), b"$lost$found\n") == [(Reason.INTERRUPTED, 5)]
    assert framed(telegrams(), *[bytes([b]) for b in b"<<lost<<found>12"]) == [b"<<found>12"]


def marked_sums() -> Marked:
    """An end, and behind it a byte that can be anything: the sum of all before it."""
    return Marked(
        re.compile(rb"<<"),
        re.compile(rb">.", re.DOTALL),
        size_max=100,
        start_max=2,
        end_max=2,
        valid=lambda frame: frame[-1] == sum(frame[:-1]) & 0xFF,
    )


def test_a_start_in_the_place_of_a_checksum_begins_the_next_frame() -> None:
    whole = b"<<ab>" + bytes([sum(b"<<ab>") & 0xFF])
    tricky = b"<<\x86>\x3c"
    check_framer(marked_sums, whole + tricky, [whole, tricky])
    for chunks in ([b"<<ab>" + whole], [b"<<ab>", whole], [b"<<ab><", whole[1:]]):
        assert framed(marked_sums(), *chunks)[-1] == whole
    assert framed(marked_sums(), b"<<ab>?" + whole) == [b"<<ab>?", whole]


def test_what_is_no_frame_is_noise() -> None:
    assert reasons(sentences(), b"noise$a\nmore") == [(Reason.GARBAGE, 5), (Reason.GARBAGE, 4)]
    assert reasons(telegrams(), b"<", b"<a") == [(Reason.INTERRUPTED, 1), (Reason.GARBAGE, 2)]


def test_an_endless_frame_is_given_up_and_the_next_one_found() -> None:
    babble = b"$" + b"x" * 100
    assert framed(sentences(), babble, b"$a\n") == [b"$a\n"]
    assert reasons(sentences(), babble)[0] == (Reason.OVERSIZE, 1)


def test_frames_that_say_how_long_they_are() -> None:
    check_framer(records, record(b"abc") + record(b""), [record(b"abc"), record(b"")])


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_frame_cut_short_does_not_take_the_beginning_of_the_next(lost: int) -> None:
    """Its last bytes are then a part of the next marker, whether the rest is there yet or not."""
    cut, whole = record(b"abc")[:-lost], record(b"def")
    assert framed(records(), cut + whole)[-1] == whole
    assert framed(records(), cut + whole[:1], whole[1:])[-1] == whole
    assert framed(records(), *[bytes([b]) for b in cut + whole])[-1] == whole


def test_without_a_marker_the_checksum_alone_tells() -> None:
    def unmarked() -> Sized:
        return Sized(
            b"",
            header=1,
            length=lambda header: header[0] if 2 < header[0] < 9 else None,
            size_max=8,
            valid=lambda frame: frame[-1] == sum(frame[:-1]) & 0xFF,
        )

    frame = b"\x04ab\xc7"
    check_framer(unmarked, frame + frame, [frame, frame])
    assert framed(unmarked(), b"\x08\xff\x04a" + frame + b"\x05") == [frame]
    assert reasons(unmarked(), b"\x04ab?" + frame) == [(Reason.GARBAGE, 4)]


def test_a_marker_in_the_data_or_in_noise_hides_no_frame() -> None:
    tricky = record(b"BM\x20")
    assert framed(records(), tricky) == [tricky]
    for noise in (b"BM", b"BM\x01", b"B", b"BM\x40", b"BM\x40BM\x3f"):
        assert framed(records(), noise + record(b"abc"))[-1] == record(b"abc")


def test_a_damaged_frame_is_handed_out_up_to_the_next_marker() -> None:
    cut = record(b"abcdef")[:6]
    assert framed(records(), cut + record(b"x") + record(b"y")) == [cut, record(b"x"), record(b"y")]
    damaged = record(b"abc")[:-1] + b"?"
    assert framed(records(), damaged + record(b"x")) == [damaged, record(b"x")]


@pytest.mark.parametrize(
    ("framer", "stream", "frames"),
    [
        (Hdlc, b"\x7e\x01\x7d\x5e\x7d\x5d\x7e", [b"\x01\x7e\x7d"]),
        (Hdlc, b"\x7e\x01\x7e\x02\x7e", [b"\x01", b"\x02"]),
        (Cobs, b"\x00\x03\x11\x22\x02\x33\x00", [b"\x11\x22\x00\x33"]),
        (Cobs, b"\x00\x01\x01\x00\x02\x11\x01\x01\x00", [b"\x00", b"\x11\x00\x00"]),
        (Cobs, b"\x00\xff" + LONGEST + b"\x02\x01\x00", [LONGEST + b"\x01"]),
        (Cobs, b"\x00\xff" + LONGEST + b"\x00", [LONGEST]),
        (Slip, b"\xc0\x01\xdb\xdc\xdb\xdd\xdb\xdd\xc0\xc0\x02\xc0", [b"\x01\xc0\xdb\xdb", b"\x02"]),
    ],
)
def test_frames_with_flags(
    framer: type[Cobs | Hdlc | Slip], stream: bytes, frames: list[bytes]
) -> None:
    check_framer(lambda: framer(size_max=300), stream, frames)


def test_what_precedes_the_first_flag_is_noise_and_what_is_broken_too() -> None:
    slip = Slip(size_max=50)
    assert framed(slip, b"part\xc0whole\xc0br\xdboken\xc0again\xc0") == [b"whole", b"again"]
    cobs = Cobs(size_max=50)
    assert framed(cobs, b"\x09part\x00\x06whole\x00\x09short\x00\x02x\x00") == [b"whole", b"x"]
    hdlc = Hdlc(size_max=50)
    assert framed(hdlc, b"\x7eabort\x7d\x7ewhole\x7e") == [b"whole"]


def test_after_a_lost_flag_the_next_frames_are_found() -> None:
    stream = b"\x7e\x01\x7e" * 2 + b"\x7e\x02" + b"\x7e\x01\x7e" * 3
    assert framed(Hdlc(size_max=50), stream).count(b"\x01") == 5
    assert framed(Hdlc(size_max=50), b"\x7e" + b"x" * 99, b"\x7e\x01\x7e") == [b"\x01"]


def test_idle_flags_do_not_fill_the_buffer() -> None:
    framer = Hdlc(size_max=50)
    framer.feed(b"\x7e" * 1000)
    assert framer.buffered == 1


def test_parity_bits_are_taken_off_where_there_are_any() -> None:
    for text in (b"$abc/!\r\n", b"$0123456789\n"):
        assert framed(SevenBit(sentences()), with_parity(text)) == [text]
        assert framed(SevenBit(sentences()), text) == [text]


def test_a_damaged_character_does_not_become_another_one() -> None:
    assert framed(SevenBit(sentences()), with_parity(b"$") + b"\x81\n") == [b"$\x01\n"]
    assert framed(SevenBit(sentences()), b"$\x80\n") == [b"$\x80\n"]


@pytest.mark.parametrize("marker", [b"", b"M"])
def test_no_stream_makes_long_frames_be_checked_for_every_byte(marker: bytes) -> None:
    """One device must not delay the others: the work for a byte is bounded."""
    size = 4000
    checked = 0

    def valid(frame: bytes) -> bool:
        nonlocal checked
        checked += len(frame)
        return frame == b"M" * (size - 1) + b"!"

    framer = Sized(marker, header=1, length=lambda _: size, size_max=size, valid=valid)
    stream = b"M" * 100_000
    items = feed(framer, [stream])
    assert sum(item.size for item in items) == len(stream)
    assert checked <= CHECKED_AHEAD + CHECKED_PER_BYTE * len(stream)
    assert framed(framer, b"M" * (size - 1) + b"!") == [b"M" * (size - 1) + b"!"]


def test_a_long_frame_without_a_marker_is_found_from_wherever_it_is_heard() -> None:
    """Also where not all of the places can be tried at once."""
    rng = random.Random(3)
    body = rng.randbytes(1198)
    frame = body + crc16_arc(body).to_bytes(2, "little")
    framer = Sized(
        b"",
        header=1,
        length=lambda _: len(frame),
        size_max=len(frame),
        valid=lambda data: data[-2:] == crc16_arc(data[:-2]).to_bytes(2, "little"),
    )
    assert framed(framer, (frame * 12)[600:])[-1] == frame

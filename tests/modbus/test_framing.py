"""Frames of Modbus lines, where nothing but the CRC or the length tells what is one."""

import random

import pytest

from gateway.conformance import check_framer, feed
from gateway.model import Framed, Noise
from gateway.protocols.modbus.framing import RtuFramer, TcpFramer
from tests.specimens.modbus import framed

REQUEST = framed("01 04 0000 0002")
ANSWER = framed("01 04 04 43663334")
EXCEPTION = framed("01 84 02")
FRAMES = [
    REQUEST,
    ANSWER,
    framed("01 84 02"),
    framed("12 01 03 CD6B05"),
    framed("FE 04 02 0190"),
    framed("01 06 0001 0003"),
    framed("01 10 0001 0002 04 000A0102"),
    framed("01 10 0001 0002"),
    framed("01 03 FA" + "00" * 250),
]


def test_frames_of_every_kind_are_found_whatever_the_pieces() -> None:
    check_framer(RtuFramer, b"".join(FRAMES), FRAMES)


def test_a_frame_is_handed_out_with_its_last_byte() -> None:
    for frame in FRAMES:
        framer = RtuFramer()
        assert not framer.feed(frame[:-1])
        assert framer.feed(frame[-1:]) == [Framed(frame, len(frame))]


def test_noise_that_cannot_begin_a_frame_holds_nothing_up() -> None:
    (noise, frame) = RtuFramer().feed(b"\x00\xff\x00" + ANSWER)
    assert isinstance(noise, Noise)
    assert noise.size == 3
    assert frame == Framed(ANSWER, len(ANSWER))


def looks_like_a_request() -> bytes:
    """An answer of 13 bytes whose first 8 have a valid CRC."""
    beginning = framed("01 04 08 41 00 01")
    return framed((beginning + bytes(3)).hex())


def test_an_answer_that_begins_like_a_request_is_whole() -> None:
    answer = looks_like_a_request()
    check_framer(RtuFramer, answer, [answer])


@pytest.mark.parametrize("follows", [framed("01 04 02 0190"), EXCEPTION])
def test_a_request_that_begins_like_a_long_answer_is_one_once_it_is_answered(
    follows: bytes,
) -> None:
    """Of EPEVER's registers at 3000 hex, repeated by the adapter: 30 might be a byte count."""
    request = framed("01 04 3000 0001")
    framer = RtuFramer()
    assert not framer.feed(request)
    assert framer.feed(follows) == [Framed(request, 8), Framed(follows, len(follows))]
    assert list(feed(RtuFramer(), [request])) == [Framed(request, 8)]


def test_what_waits_is_bounded() -> None:
    framer = RtuFramer()
    rng = random.Random(1)
    for _ in range(500):
        framer.feed(bytes(rng.choice((1, 3, 4, 16, 250)) for _ in range(50)))
        assert framer.buffered <= 256


TCP = [
    bytes.fromhex("0001 0000 0007 01 04 04 43663334"),
    bytes.fromhex("FFFF 0000 0003 01 84 02"),
    bytes.fromhex("0002 0000 00FD FF 03 FA") + bytes(250),
]


def test_tcp_frames_are_found_by_their_length() -> None:
    check_framer(TcpFramer, b"".join(TCP), TCP)


@pytest.mark.parametrize(
    "header",
    [
        "0001 0001 0007 01 04 04",
        "0001 0000 0008 01 04 04",
        "0001 0000 0007 01 17 04",
        "0001 0000 0004 01 84 02",
    ],
    ids=["another protocol", "another length", "another function", "a longer exception"],
)
def test_a_header_that_does_not_agree_with_itself_is_noise(header: str) -> None:
    noise = bytes.fromhex(header) + b"\xff" * 4
    items = list(feed(TcpFramer(), [noise + TCP[0]]))
    assert items[-1] == Framed(TCP[0], len(TCP[0]))
    assert all(isinstance(item, Noise) for item in items[:-1])

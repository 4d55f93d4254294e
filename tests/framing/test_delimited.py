"""Lines: every byte is in a frame, in noise or waiting, and a line is the same however it comes."""

import random

import pytest

from gateway.conformance import check_framer, feed
from gateway.framing.delimited import LINE_MAX, Delimited, Lines
from gateway.model import Framed, Noise, Reason


def noise(stream: bytes) -> list[tuple[Reason, int]]:
    return [(n.reason, n.size) for n in feed(Lines(), [b"x\n" + stream]) if isinstance(n, Noise)]


def test_lines_of_any_ending_and_in_any_pieces() -> None:
    check_framer(
        Lines,
        b"a=1\nb=2\r\n\r\n\n \r\n  c=3 \r\nd\t5\t\n\xb0C\n" + "21 °C\n".encode(),
        [b"a=1", b"b=2", b"c=3", b"d\t5\t", b"\xb0C", "21 °C".encode()],
    )


def test_a_blank_line_counts_with_the_line_that_follows() -> None:
    assert list(Lines().feed(b"x\n\r\n\n21\n")) == [Framed(b"x", 2, first=True), Framed(b"21", 6)]


def test_a_flood_of_blank_lines_is_noise_and_takes_no_memory() -> None:
    framer = Lines()
    sizes = [n.size for n in framer.feed(b"\n" * 100_000)]
    assert sum(sizes) + framer.buffered == 100_000
    assert framer.buffered <= LINE_MAX


@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_what_is_longer_than_a_line_is_noise_up_to_its_end(pieces: int) -> None:
    stream = b"ok\n" + b"x" * 9_000 + b"\nlast\n"
    chunks = [stream[i : i + pieces] for i in range(0, len(stream), pieces)]
    items = list(feed(Lines(), chunks))
    assert [i.data for i in items if isinstance(i, Framed)] == [b"ok", b"last"]
    assert {i.reason for i in items if isinstance(i, Noise)} == {Reason.OVERSIZE}
    assert sum(i.size for i in items if isinstance(i, Noise)) == 9_001


def test_the_longest_line_and_one_byte_more() -> None:
    assert noise(b"x" * (LINE_MAX - 1) + b"\n") == []
    assert noise(b"x" * LINE_MAX + b"\n") == [(Reason.OVERSIZE, LINE_MAX + 1)]


def test_a_babbling_port_without_delimiter_stays_bounded() -> None:
    framer = Lines()
    out = [item for _ in range(1_000) for item in framer.feed(b"\0" * 10_000)]
    assert sum(item.size for item in out) + framer.buffered == 10_000_000
    assert all(len(item.data) <= 200 for item in out)


@pytest.mark.parametrize(
    "line", [b"temp=\x00\x00\n", b"\xfe\x81x\n", b"a\x1b[0mb\n", b"K\xfcche=1\n", b"\x7f\n"]
)
def test_a_line_that_is_no_text_is_noise(line: bytes) -> None:
    assert noise(line) == [(Reason.NOT_TEXT, len(line))]


def test_noise_is_an_example_of_what_it_counts() -> None:
    (item,) = [i for i in feed(Lines(), [b"ok\n\xff" + b"x" * 999 + b"\n"]) if isinstance(i, Noise)]
    assert item == Noise(b"\xff" + b"x" * 199, 1_001, Reason.NOT_TEXT)


def test_only_the_first_line_is_first_and_closing_starts_anew() -> None:
    framer = Lines()
    assert [i.first for i in framer.feed(b"cut\nwhole\n") if isinstance(i, Framed)] == [True, False]
    framer.feed(b"half a li")
    assert framer.close() == [Noise(b"half a li", 9, Reason.INTERRUPTED)]
    assert framer.close() == []
    framer.feed(b"x\n\r\n")
    assert framer.close() == [Noise(b"\n", 2, Reason.EMPTY)]
    assert list(framer.feed(b"ne\n")) == [Framed(b"ne", 3, first=True)]


def test_a_delimiter_alone_makes_the_next_line_whole() -> None:
    assert list(Lines().feed(b"\r\n21\n")) == [Framed(b"21", 5)]


def test_the_text_after_the_noise_of_a_first_line_is_kept() -> None:
    assert list(Lines().feed(b"21.5,4\xf3\x00temp,hum\r\n1,2\n")) == [
        Noise(b"21.5,4\xf3\x00", 8, Reason.NOT_TEXT),
        Framed(b"temp,hum", 10, first=True),
        Framed(b"1,2", 4),
    ]
    for degree in (b"\xb0", b"\xc2\xb0"):
        line = b"temp (" + degree + b"C)"
        assert list(Lines().feed(b"\xf3\x80" + line + b"\n")) == [
            Noise(b"\xf3\x80", 2, Reason.NOT_TEXT),
            Framed(line, len(line) + 1, first=True),
        ]
    assert list(Lines().feed(b"\xff\xff\r\n")) == [Noise(b"\xff\xff\r", 4, Reason.NOT_TEXT)]


def test_closing_within_a_long_line_forgets_it() -> None:
    framer = Lines()
    framer.feed(b"x" * 5_000)
    assert framer.close() == []
    assert list(framer.feed(b"21\n")) == [Framed(b"21", 3, first=True)]


def test_random_streams_give_the_same_however_they_are_cut() -> None:
    rng = random.Random(3)
    for _ in range(300):
        stream = bytes(rng.choice(b"ab\n\r \t\xb0\xff\0") for _ in range(rng.randrange(80)))
        whole = list(feed(Lines(20), [stream]))
        single = list(feed(Lines(20), [stream[i : i + 1] for i in range(len(stream))]))
        assert _summary(whole) == _summary(single), stream


def _summary(items: list[Framed | Noise]) -> tuple[list[Framed], dict[Reason, int]]:
    sizes: dict[Reason, int] = {}
    for item in items:
        if isinstance(item, Noise):
            sizes[item.reason] = sizes.get(item.reason, 0) + item.size
    return [item for item in items if isinstance(item, Framed)], sizes


def octets() -> Delimited:
    return Delimited(b"\r\r", size_max=8)


def test_frames_that_only_their_end_tells() -> None:
    check_framer(octets, b"\x00ab\r\r\r\r\xff\r\r", [b"\x00ab\r\r", b"\r\r", b"\xff\r\r"])
    framer = octets()
    first, second = framer.feed(b"rest\r\rwhole\r\r")
    assert (first, second) == (Framed(b"rest\r\r", 6, first=True), Framed(b"whole\r\r", 7))
    assert framer.close() == []
    assert framer.feed(b"\r\r") == [Framed(b"\r\r", 2, first=True)]


def test_what_is_too_long_for_a_frame_is_noise_up_to_its_end() -> None:
    whole = b"0123456\r\r"
    for chunks in ([whole + b"a\r\r"], [bytes([byte]) for byte in whole + b"a\r\r"]):
        items = list(feed(octets(), chunks))
        assert items[-1].data == b"a\r\r"
        assert {item.reason for item in items if isinstance(item, Noise)} == {Reason.OVERSIZE}
        assert sum(item.size for item in items[:-1]) == len(whole)
    framer = octets()
    framer.feed(b"x" * 100)
    assert framer.buffered == 1  # it may begin the end

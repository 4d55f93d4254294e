r"""What every framer and every decoder must stand, as functions that a device's test calls once.

    from gateway.conformance import Vector, check_decoder

    def test_the_decoder_stands_whatever_arrives() -> None:
        check_decoder(DEVICE, [Vector(b"T=21.5*3f\n", [Reading({"temperature": 21.5})])])

A vector is bytes as they arrive and the readings that they must give. `check_decoder` runs each
whole, byte by byte, doubled in one chunk, after noise, after itself cut at every length, with every
bit flipped, and amid seeded garbage. Nothing may raise; no byte may be lost; what a verdict holds
must be storable; a vector whose frame carries a checksum (`checksummed`) must not give a wrong
reading for any flipped bit. A decoder that asks has a question under way all the time. What fails
says which bytes, in which manner. `check_framer` does the same for a framer alone. See
docs/new-device.md for a whole example.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway.asking import Asker, Request
from gateway.model import (
    NOTHING,
    Decoded,
    Decoder,
    Device,
    Frame,
    Framed,
    Framer,
    Ignored,
    Learned,
    Malformed,
    Noise,
    Reading,
    Reason,
    Repeated,
    Verdict,
)

ARRIVAL_NS = 1_714_557_600_000_000_000
BUFFERED_MAX = 1 << 16
SEED = 1
_GARBAGE_CHUNKS = 3
_NO_OPTIONS: Mapping[str, object] = {}


class Vector(NamedTuple):
    """Bytes as they arrive, delimiters included, or an MQTT payload; and what they mean."""

    data: bytes
    readings: Sequence[Reading]
    options: Mapping[str, object] = _NO_OPTIONS
    topic: str = ""
    captures: Mapping[str, str] = NOTHING
    checksummed: bool = False
    """A damaged bit must not go unnoticed."""


def check_framer(make: Callable[[], Framer], stream: bytes, frames: Sequence[bytes]) -> None:
    """`stream` holds `frames` and nothing else, whatever the pieces it comes in."""
    twice = ("doubled in one chunk", [stream + stream])
    for manner, chunks in (*_manners(stream), twice):
        expected = [*frames, *frames] if chunks is twice[1] else [*frames]
        with _Telling(manner, chunks):
            framed = [item.data for item in feed(make(), chunks) if isinstance(item, Framed)]
            assert framed == expected, f"the frames are {framed!r}, not {expected!r}"
    for chunks in _garbage(stream, rounds=200):
        list(feed(make(), chunks))


def check_decoder(
    device: Device,
    vectors: Sequence[Vector],
    *,
    resync: bytes = b"",
    mutants: int = 2_000,
) -> None:
    """Check a device with its vectors: see above. Raises AssertionError, or what the device raised.

    Args:
        device: what the file offers as `DEVICE`.
        vectors: bytes and what they mean.
        resync: what ends a broken frame of the stream, such as a line break; empty where a frame's
            beginning does.
        mutants: how many damaged payloads and pieces of noise it meets in all.
    """
    assert vectors, "there is no vector"
    for vector in vectors:
        if device.framer is None:
            _check_payload(device, vector)
        else:
            _check_stream(device, vector, resync)
        _check_damage(device, vector, resync)
        _check_survival(device, vector, mutants // len(vectors))


def feed(framer: Framer, chunks: Iterable[bytes]) -> Iterator[Framed | Noise]:
    """Everything that comes out until the end, while the law of the framer is watched."""
    fed = out = 0
    for chunk in chunks:
        fed += len(chunk)
        for item in framer.feed(chunk):
            assert item.size > 0, f"{item!r} has no size"
            out += item.size
            yield item
        assert fed == out + framer.buffered, "bytes are lost or counted twice"
        assert framer.buffered <= BUFFERED_MAX, "the buffer grows without bound"
    for item in framer.close():
        out += item.size
        yield item
    assert fed == out, "close() loses bytes"
    assert framer.buffered == 0, "close() keeps bytes"


def readings_of(device: Device, chunks: Iterable[bytes], vector: Vector) -> list[Reading]:
    """What the device says, from a stream or from each chunk as a payload."""
    decoder = _make_decoder(device, vector)
    framer = device.make_framer(vector.options)
    if framer is None:
        frames = [
            Frame(chunk, ARRIVAL_NS, vector.topic or "a/b", vector.captures) for chunk in chunks
        ]
    else:
        frames = [
            Frame(item.data, ARRIVAL_NS, first=item.first)
            for item in feed(framer, chunks)
            if isinstance(item, Framed)
        ]
    return [reading for frame in frames for reading in _readings(decoder, frame)]


def comparable(readings: Iterable[Reading]) -> list[str]:
    """Equal where the readings are, also where they hold NaN."""
    return [
        repr(r._replace(values=dict(r.values), units=dict(r.units), tags=dict(r.tags)))
        for r in readings
    ]


def check_verdict(verdict: Verdict) -> None:
    """A verdict is well formed, and all of its texts can be stored."""
    if isinstance(verdict, Malformed | Ignored | Repeated):
        assert isinstance(verdict.reason, Reason), f"{verdict!r} has no Reason"
        return
    if isinstance(verdict, Learned):
        return
    assert isinstance(verdict, Decoded), f"{verdict!r} is no verdict"
    assert verdict.readings or verdict.malformed, "Decoded is empty: use Ignored or Learned"
    for element in verdict.malformed:
        assert isinstance(element, Malformed), f"{element!r} is not Malformed"
    for reading in verdict.readings:
        _check_reading(reading)


def _check_reading(reading: Reading) -> None:
    assert reading.values, "a reading without values"
    kinds = {type(value) for value in reading.values.values()}
    assert kinds <= {float, int, bool, str}, f"{reading!r} has a value that is no Value"
    time_ns = reading.observed_at_ns
    assert time_ns is None or isinstance(time_ns, int), f"{time_ns!r}: nanoseconds are an integer"
    texts = [value for value in reading.values.values() if isinstance(value, str)]
    for pairs in (reading.units, reading.tags):
        texts += [*pairs.keys(), *pairs.values()]
    "".join([*texts, *reading.values, reading.device, reading.measurement]).encode()


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Something that resembles the data and is not quite it."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        other = rng.randrange(len(out) + 1)
        match rng.randrange(6):
            case 0 if out:
                out[at % len(out)] ^= 1 << rng.randrange(8)
            case 1:
                del out[at : at + rng.randrange(9)]
            case 2:
                out[at:at] = rng.randbytes(rng.randrange(9))
            case 3:
                out[at:at] = rng.choice(_TOKENS)
            case 4:
                out[at:at] = out[other : other + rng.randrange(17)]
            case _:
                del out[at:]
    return bytes(out)


_TOKENS = (
    *(b"nan", b"-inf", b"1e400", b"-0", b"1" * 400, b"0x1F", b"1_000", b"1,5", b"\xb0C", b"null"),
    *(b"\r", b"\n", b"\t", b"\0", b'"', b"\\", b"\\ud800", b"{", b"}", b"[", b"]", b"=", b":"),
    *(b",", b";", b" ", b"  ", b"[" * 40, b"\xef\xbb\xbf", b"\xff", "°C".encode(), b"a=1 b:2"),
    *(b'{"a":', b'"value":1,"unit":"C"', b"2024-05-01T10:00:00", b"9999-12-31T23:59:59+00:00"),
)


def _check_stream(device: Device, vector: Vector, resync: bytes) -> None:
    stream = resync + vector.data
    for manner, chunks in _manners(stream):
        _expect(device, vector, chunks, 1, manner)
    _expect(device, vector, [stream + vector.data], 2, "doubled in one chunk")
    noise = random.Random(SEED).randbytes(300)
    _expect(device, vector, [noise + stream], 1, "after noise", last=True)
    for length in range(len(vector.data)):
        cut = vector.data[:length]
        _expect(device, vector, [cut + stream], 1, f"after its first {length} bytes", last=True)


def _check_payload(device: Device, vector: Vector) -> None:
    _expect(device, vector, [vector.data], 1, "alone")
    again = [vector.data[:-1], vector.data, vector.data]
    _expect(device, vector, again, 2, "twice, after itself cut", last=True)


def _expect(
    device: Device,
    vector: Vector,
    chunks: list[bytes],
    times: int,
    manner: str,
    *,
    last: bool = False,
) -> None:
    """The vector's readings so many times; `last`: others may precede them."""
    expected = comparable(vector.readings) * times
    with _Telling(manner, chunks):
        found = comparable(readings_of(device, chunks, vector))
        ending = found[len(found) - len(expected) :] if last else found
        assert ending == expected, "\n  ".join(
            ["the readings are", *found, "and should be", *expected]
        )


class _Telling:
    """Adds to whatever is raised which bytes it is about."""

    def __init__(self, what: str, data: object) -> None:
        self._what = what
        self._data = data

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"{self._what}: {self._data!r}")


def _check_damage(device: Device, vector: Vector, resync: bytes) -> None:
    """Flip every bit."""
    true = {*comparable(vector.readings)}
    for bit in range(len(vector.data) * 8):
        damaged = bytearray(vector.data)
        damaged[bit // 8] ^= 1 << bit % 8
        with _Telling(f"bit {bit % 8} of byte {bit // 8} flipped", damaged):
            found = comparable(readings_of(device, [resync + bytes(damaged)], vector))
            wrong = {*found} - true
            assert not (vector.checksummed and wrong), "damage is not noticed: " + ", ".join(wrong)


def _check_survival(device: Device, vector: Vector, mutants: int) -> None:
    """One decoder and one framer for all of the garbage, so that their state is mistreated too."""
    decoder = _make_decoder(device, vector)
    framer = device.make_framer(vector.options)
    for chunks in _garbage(vector.data, mutants // _GARBAGE_CHUNKS):
        for chunk in chunks:
            whole = Frame(chunk, ARRIVAL_NS, vector.topic, vector.captures)
            frames = [whole, whole._replace(first=True)]
            if framer is not None:
                framed = [item for item in framer.feed(chunk) if isinstance(item, Framed)]
                frames += [Frame(item.data, ARRIVAL_NS, first=item.first) for item in framed]
            for frame in frames:
                _readings(decoder, frame)


def _readings(decoder: Decoder, frame: Frame) -> Sequence[Reading]:
    with _Telling("the frame", frame.data):
        verdict = decoder.decode(frame)
        check_verdict(verdict)
    return verdict.readings if isinstance(verdict, Decoded) else ()


def _make_decoder(device: Device, vector: Vector) -> Decoder:
    decoder = device.make_decoder(vector.options)
    return _Asking(decoder) if isinstance(decoder, Asker) else decoder


class _Asking:
    """A decoder that asks, always with the first of its questions under way.

    After each answer the line is opened anew, so that the same answer is right again.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._now_s = 0.0
        self._ask()

    def decode(self, frame: Frame) -> Verdict:
        verdict = self._asker.decode(frame)
        if self._asker.outcome() is not None:
            self._ask()
        return verdict

    def _ask(self) -> None:
        self._asker.begin(self._now_s)
        while True:
            step = self._asker.ask(self._now_s)
            if not isinstance(step, Request):
                assert step > self._now_s, "it waits for what is past"
                self._now_s = step
            elif step.answer_size:
                return


def _manners(stream: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """One stream in pieces: whole, single bytes, and at random with empty ones between."""
    yield "whole", [stream]
    yield "byte by byte", [stream[i : i + 1] for i in range(len(stream))]
    rng = random.Random(SEED)
    for _ in range(5):
        cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(6))
        pieces = zip([0, *cuts], [*cuts, len(stream)], strict=True)
        yield "in pieces", [stream[a:b] for a, b in pieces]


def _garbage(model: bytes, rounds: int) -> Iterator[list[bytes]]:
    rng = random.Random(SEED)
    for number in range(rounds):
        if number % 10:
            yield [mutate(rng, model) for _ in range(_GARBAGE_CHUNKS)]
        else:
            yield [rng.randbytes(rng.randrange(300)) for _ in range(_GARBAGE_CHUNKS)]

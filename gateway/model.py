"""The values that travel through the pipeline, one type per arrow of `gateway/__init__.py`.

A `Reading` and an `Observation` carry all quantities of one device at one instant (one InfluxDB
point). Values on the hot path are named tuples: immutable, and the cheapest to make.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, NamedTuple, Protocol, TypeVar

Value = float | int | bool | str
"""What a decoder may find. 0, 0.0 and False are values."""


class Code(str):
    """A text that is none of numbers or units whatever it looks like: a device's code, in hex."""

    __slots__ = ()


FieldValue = float | str
"""What is stored: every number is a float, everything else text (decision 5)."""

NOTHING: Mapping[str, str] = MappingProxyType({})


class Reason(StrEnum):
    """Why something did not go on: a metric label, so the list is closed."""

    # noise: bytes that belong to no frame
    OVERSIZE = "oversize"
    NOT_TEXT = "not_text"
    INTERRUPTED = "interrupted"
    GARBAGE = "garbage"
    # malformed: a frame, or an element of one, that its decoder cannot read
    SYNTAX = "syntax"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    COLUMNS = "columns"
    CHECKSUM = "checksum"
    DECODER_FAILED = "decoder_failed"
    EXCEPTION = "exception"
    ENCRYPTED = "encrypted"
    # ignored: understood and not wanted
    RETAINED = "retained"
    UNROUTED = "unrouted"
    FIRST_LINE = "first_line"
    UNSUPPORTED = "unsupported"
    UNASKED = "unasked"
    ECHO = "echo"
    # refused: a quantity of a reading that is no value
    NAN = "nan"
    INFINITE = "infinite"
    UNAVAILABLE = "unavailable"
    SENTINEL = "sentinel"
    OUT_OF_RANGE = "out_of_range"
    TYPE_CONFLICT = "type_conflict"
    DROPPED = "dropped"
    TOO_LONG = "too_long"
    TOO_MANY_FIELDS = "too_many_fields"
    COLLISION = "collision"
    # implausible: a reading without a field left
    NO_FIELDS = "no_fields"
    # repeated: seen before
    REDELIVERED = "redelivered"
    RETRANSMITTED = "retransmitted"
    SAME_POINT = "same_point"
    # shed: an observation that never reached the disk
    SPOOL_FULL = "spool_full"
    DISK_SLOW = "disk_slow"


class TimeSource(StrEnum):
    """Who says when an observation was made."""

    ARRIVAL = "arrival"
    DEVICE = "device"


class Frame(NamedTuple):
    """One framed unit of a byte stream, without its delimiter, or one MQTT message."""

    data: bytes
    received_at_ns: int
    topic: str = ""
    captures: Mapping[str, str] = NOTHING
    """What the placeholders of the topic pattern matched."""
    first: bool = False
    """The first frame after an open: its beginning may be missing."""


class Noise(NamedTuple):
    """Bytes of a stream that belong to no frame; `data` is at most a short example of `size`."""

    data: bytes
    size: int
    reason: Reason


class Framed(NamedTuple):
    """What a framer hands out: the frame's bytes and its size on the wire, delimiters included."""

    data: bytes
    size: int
    first: bool = False


class Framer(Protocol):
    """Bytes in, frames out, no I/O. Law: bytes fed = framed + noise + `buffered`, always."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the rest of their frame; bounded."""

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        """Take `data` of any size and return what it completed, in order."""

    def close(self) -> Sequence[Framed | Noise]:
        """Wait for nothing more (the connection ended), and start anew.

        What looked like the beginning of a long frame may hide a whole short one.
        """


class Reading(NamedTuple):
    """What one device said at one instant, in its own names and units."""

    values: Mapping[str, Value]
    units: Mapping[str, str] = NOTHING
    """The unit by the value's name, where the device states it."""
    device: str = ""
    """The device's own identity, if the payload carries one."""
    measurement: str = ""
    tags: Mapping[str, str] = NOTHING
    observed_at_ns: int | None = None
    """The device's own time, UTC; None where it states none or one without a zone."""


class Malformed(NamedTuple):
    """A frame, or an element of a batch, that cannot be read."""

    reason: Reason
    example: bytes = b""


class Ignored(NamedTuple):
    """A frame that is understood and not wanted."""

    reason: Reason


class Learned(NamedTuple):
    """A frame that only updates what the decoder knows: a CSV header, a discovery message."""


class Decoded(NamedTuple):
    """A frame's readings; elements of a batch that could not be read stand beside them."""

    readings: Sequence[Reading]
    malformed: Sequence[Malformed] = ()


class Repeated(NamedTuple):
    """A frame, or a reading, that was there before."""

    reason: Reason


Verdict = Decoded | Malformed | Ignored | Learned | Repeated


class Decoder(Protocol):
    """One source's decoder: pure, may keep state, never raises on any bytes, bounded in time."""

    def decode(self, frame: Frame) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class Device:
    """What a file in `gateway/devices` offers under the name `DEVICE`."""

    name: str
    summary: str
    decoder: Callable[..., Decoder]
    """Takes the options below as keywords, but those of the framer."""
    framer: Callable[..., Framer] | None = None
    """Takes the framer's options as keywords. None: only whole payloads (MQTT)."""
    options: frozenset[str] = frozenset()
    framer_options: frozenset[str] = frozenset()
    shared_options: frozenset[str] = frozenset()
    """Those of the framer that the decoder takes too."""
    baudrates: tuple[int, ...] = ()
    """What such devices use, the most likely first: it is the default of a port.

    Only where frames prove themselves, as by a checksum: then a port's rate may also be looked for.
    """

    def make_decoder(self, options: Mapping[str, object]) -> Decoder:
        """Raise ConfigError where the options are wrong."""
        others = self.framer_options - self.shared_options
        return self.decoder(**{k: v for k, v in options.items() if k not in others})

    def make_framer(self, options: Mapping[str, object]) -> Framer | None:
        """Likewise; None for a device without streams."""
        if self.framer is None:
            return None
        return self.framer(**{k: v for k, v in options.items() if k in self.framer_options})


class Series(NamedTuple):
    """One InfluxDB series: measurement and sorted tags, and both as an escaped line prefix."""

    measurement: str
    tags: tuple[tuple[str, str], ...]
    prefix: str


class Observation(NamedTuple):
    """A normalized reading: canonical names and units, one point.

    Received before there was a time of day (`gateway.times`), it is held: its arrival is a point of
    its own in the series, in nanoseconds since the machine's start; so is `time_ns`, unless it is
    the device's, which is still to be judged.
    """

    series: Series
    fields: Mapping[str, FieldValue]
    time_ns: int
    received_at_ns: int
    time_source: TimeSource


class Implausible(NamedTuple):
    """A reading that yields no observation."""

    reason: Reason


class Pin(NamedTuple):
    """The type a field of a measurement has for good: number or text."""

    measurement: str
    field: str
    is_text: bool


class Batch(NamedTuple):
    """Lines read from the spool for one delivery: `rows` identify them when they are settled."""

    rows: tuple[int, ...]
    lines: Sequence[bytes]
    size: int
    """Bytes of the lines, newlines included."""


class DeadLetter(NamedTuple):
    """A line that the database will never take, with its words."""

    line: bytes
    status: int
    message: str


@dataclass(slots=True)
class Totals:
    """Lines since the store was created, kept in the transaction that moves them.

    spooled + retried = delivered + dead + evicted + corrupt + pending
    """

    spooled: int = 0
    retried: int = 0
    delivered: int = 0
    dead: int = 0
    evicted: int = 0
    corrupt: int = 0
    pending: int = 0


NOBODY: Mapping[int, str] = MappingProxyType({})


class Delivered(NamedTuple):
    """The database has every line of the batch."""


class Deferred(NamedTuple):
    """The world is in the way: try the same batch again, after `after_s` where the server says."""

    problem: str
    after_s: float | None = None
    smaller: bool = False
    """It may have taken too long for its size: fewer lines at once may get through."""


class Halted(NamedTuple):
    """Only the operator can help (wrong token, missing database): keep everything and say so."""

    problem: str


class TooLarge(NamedTuple):
    """The batch exceeds what the server takes in one request: halve it."""

    message: str


class Refused(NamedTuple):
    """At least one line of the batch is bad; the others may or may not be stored."""

    status: int
    message: str
    guilty: Mapping[int, str] = NOBODY
    """Bad lines by index, where the server names them, each with the words about it."""
    suspects: Sequence[int] = ()
    """Indices of lines that fit the words. Good ones may be among them."""


Receipt = Delivered | Deferred | Halted | TooLarge | Refused


class Sink(Protocol):
    """A database that takes lines. Never raises on an answer or a fault of the network."""

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        """Send the lines in one request. Cancelled: they may be stored or not; replay is safe."""


Row = TypeVar("Row")


@dataclass(slots=True)
class Group(Generic[Row]):
    """Everything one transaction commits: all of it or nothing."""

    rows: list[Row] = field(default_factory=list)
    """Packed observations, in order of arrival."""
    droppable: list[Row] = field(default_factory=list)
    """Likewise, of sources that would rather lose their oldest when the store is full."""
    held: list[Row] = field(default_factory=list)
    """Likewise those that arrived before there was a time of day: they wait for `Store.release`."""
    held_droppable: list[Row] = field(default_factory=list)
    """Likewise those that are both."""
    pins: list[Pin] = field(default_factory=list)
    seen: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    """QoS 1 messages by MQTT session: (packet identifier, digest), for the redelivery ring."""
    forget: set[str] = field(default_factory=set)
    """MQTT sessions that the broker no longer knows: their ring is emptied before `seen`."""

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        rows = self.rows or self.droppable or self.held or self.held_droppable
        return not (rows or self.pins or self.seen or self.forget)


class Store(Protocol[Row]):
    """Where observations become durable: the spool, or the archive.

    The blocking methods are called from one worker thread only.
    """

    @property
    def group_bytes_max(self) -> int:
        """How large a group may be."""

    def pack(self, observation: Observation) -> Row:
        """Encode on the event loop; cheap, cannot fail."""

    def size(self, row: Row) -> int:
        """Bytes that the row takes in memory and on disk, roughly."""

    def commit(self, group: Group[Row]) -> None:
        """Blocking: on return the group is on disk. Raises StoreError: nothing of it is."""

    def held(self) -> int:
        """Observations on disk that wait for their time; cheap, any thread."""

    def release(self, offset_ns: int) -> None:
        """Blocking: give some of them their time, by the date of the machine's start.

        Those that an earlier run of the machine left behind will never get one: they are dead.
        To be called until `held` is 0. Raises StoreError: nothing has changed.
        """

    def pressure(self) -> float:
        """Blocking: how full the store is; what is too old goes first.

        From 0 to 1 the last eighth of what the operator allows fills; below 0 there is ample room,
        from 1 on the largest group does not fit any more. Infinite: the disk itself is nearly full.
        """

    def totals(self) -> Totals:
        """The counts as of the last transaction; cheap, any thread."""

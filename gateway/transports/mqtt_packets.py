"""A broker's byte stream cut into packets, and its PUBLISH packets read. No I/O.

PUBLISH is nearly all of the traffic and has three fields, so it is read here; every other packet
comes out as it is, for the library that knows them. The order of the stream is kept.

Limits: of a message longer than `message_bytes_max` the payload is skipped as it arrives, which
bounds the memory. Properties of MQTT 5 messages are skipped. A topic that is not UTF-8, which no
broker may send, gets replacement characters: if it ended the connection, it would come back with
the next one for ever.
"""

from collections.abc import Iterator
from typing import NamedTuple

PUBLISH = 0x30
_TYPE = 0xF0
_RETAIN = 0x01
_DUPLICATE = 0x08
_MORE = 0x80
_LENGTH_BYTES_MAX = 4
_QOS_MAX = 2


class Message(NamedTuple):
    """One PUBLISH as the broker sent it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    """Sent before, perhaps on an earlier connection."""
    identifier: int
    """To acknowledge it with; 0 at QoS 0."""
    skipped: int = 0
    """The packet's length where it exceeded the limit: `payload` is empty then."""


class NotMqttError(ValueError):
    """The bytes are none that a broker may send."""


class PacketReader:
    """Bytes in, packets out, whatever the portions they arrive in."""

    def __init__(self, *, mqtt5: bool, message_bytes_max: int) -> None:
        self._mqtt5 = mqtt5
        self._length_max = message_bytes_max
        self._parts: list[bytes] = []
        self._held = 0
        self._wanted = 0
        """The next packet is not complete before so many bytes are held."""
        self._skip = 0
        """Bytes still to come of a payload that nobody wants."""

    def feed(self, data: bytes) -> Iterator[Message | bytes]:
        """Yield the packets that `data` completes. To be exhausted before the next call."""
        data = self._gather(data)
        position, end = 0, len(data)
        while position + 2 <= end:
            length, body = data[position + 1], position + 2
            if length & _MORE:
                length, body = _variable_length(data, position + 1)
                if not body:
                    break
            after = body + length
            if length > self._length_max:
                front = _front(data, position, body)
                if front > end:
                    self._wanted = front - position
                    break
                yield self._message(data, position, body, front, skipped=length)
                self._skip = max(after - end, 0)
                after = min(after, end)
            elif after > end:
                self._wanted = after - position
                break
            elif data[position] & _TYPE == PUBLISH:
                yield self._message(data, position, body, after)
            else:
                yield data[position:after]
            position = after
        if position < end:
            self._parts = [data[position:]]
            self._held = end - position

    def _gather(self, data: bytes) -> bytes:
        """All that is held and not to be skipped; nothing while no packet can be complete."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        if self._held:
            self._parts.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return b""
            data = b"".join(self._parts)
            self._parts = []
            self._held = 0
        self._wanted = 0
        return data

    def _message(
        self, data: bytes, position: int, body: int, after: int, skipped: int = 0
    ) -> Message:
        """Read the PUBLISH at `position`; it ends before `after`."""
        first = data[position]
        qos = (first >> 1) & 0x03
        identifier = 0
        try:
            topic_at = body + 2
            at = topic_at + (data[body] << 8 | data[body + 1])
            topic = data[topic_at:at].decode("utf-8", "replace")
            if qos:
                identifier = data[at] << 8 | data[at + 1]
                at += 2
            if self._mqtt5 and not skipped:
                properties = data[at]
                at += 1
                if properties & _MORE:
                    properties, at = _variable_length(data, at - 1)
                at += properties
        except IndexError:
            raise NotMqttError("a message shorter than its own lengths") from None
        if not topic_at <= at <= after or qos > _QOS_MAX or (qos and not identifier):
            raise NotMqttError("a message that contradicts itself")
        return Message(
            topic,
            data[at:after],
            qos,
            bool(first & _RETAIN),
            bool(first & _DUPLICATE),
            identifier,
            skipped,
        )


def _variable_length(data: bytes, at: int) -> tuple[int, int]:
    """Read one to four groups of seven bits; returns where they end, 0: not all there yet."""
    length = 0
    for index, byte in enumerate(data[at : at + _LENGTH_BYTES_MAX]):
        length |= (byte & ~_MORE) << (7 * index)
        if not byte & _MORE:
            return length, at + index + 1
    if len(data) - at >= _LENGTH_BYTES_MAX:
        raise NotMqttError("a length of more than four bytes")
    return 0, 0


def _front(data: bytes, position: int, body: int) -> int:
    """Where the topic and the identifier of an overlong message end, as far as is known."""
    if data[position] & _TYPE != PUBLISH:
        raise NotMqttError("an endless packet that is no message")
    topic_at = body + 2
    if len(data) < topic_at:
        return topic_at
    has_identifier = bool(data[position] & 0x06)
    return topic_at + (data[body] << 8 | data[body + 1]) + 2 * has_identifier

"""Messages of the Smart Message Language (SML 1.04, BSI TR-03109-1): from bytes to entries.

A message is a list of six: transaction, group, abort, body, CRC, 00; zeros may follow. The body is
a list of two: its type, of which only GetList.Response is looked at, and its content: client,
server (the meter), name of the list, time, entries, signature, time of the gateway. An entry is a
list of seven: OBIS code, status, time, unit (DLMS), scaler, value, signature. It stands for value
times 10 ** scaler. The CRC, X.25 with its low byte first, covers the message up to the CRC.

Everything is a type and a length: the high nibble is 0 octets, 4 boolean, 5 integer, 6 unsigned
(of any length up to 8 bytes), 7 list; 8 is added where more of the length follows. It counts
itself too, for lists the elements. 01, octets without any, is "not stated". Most fields may be so,
but not an entry's value: such a message is refused (EMH has had some in the field).

Holley's meters compute CRC-16/KERMIT, high byte first, which is taken too, and an entry's time is a
bare number there. Of an entry's value only numbers are kept. One pass, no recursion: time and
memory grow with the bytes, whatever lengths they claim.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from gateway.framing.checksums import crc16_kermit, crc16_x25
from gateway.model import Malformed, Reason

Value = bytes | int | bool | None


class Entry(NamedTuple):
    """What an entry says about a number."""

    status: Value
    unit: Value
    scaler: int
    value: int
    size: int
    """Bytes of the value."""


class ListResponse(NamedTuple):
    """What a meter says of itself at one instant."""

    server: bytes
    observed_at_ns: int | None
    entries: Mapping[bytes, Entry]
    """By OBIS code."""


def read_messages(data: bytes) -> tuple[list[ListResponse], list[Malformed]]:
    """All lists, and the messages that cannot be read: nobody knows where they end."""
    responses: list[ListResponse] = []
    malformed: list[Malformed] = []
    at = 0
    try:
        while at < len(data):
            if data[at] == _FILLER:
                at += 1
                continue
            found, at = _message(data, at)
            if isinstance(found, Malformed):
                malformed.append(found)
            elif found:
                responses.append(found)
    except (IndexError, _BrokenError):
        malformed.append(Malformed(Reason.SYNTAX, data[at:]))
    return responses, malformed


# ---------------------------------------------------------------------------------- messages

_FILLER: Final = 0
_MESSAGE: Final = 6
_GET_LIST_RESPONSE: Final = 0x0701
_RESPONSE_MIN: Final = 5
_ENTRY_MIN: Final = 6
_CODE: Final = 6
_SCALER_MAX: Final = 20
"""Powers of ten, far beyond any meter's."""


def _message(data: bytes, begin: int) -> tuple[ListResponse | Malformed | None, int]:
    """What the message that begins there says, and where it ends."""
    count, at = _list(data, begin)
    if count != _MESSAGE:
        raise _BrokenError
    for _ in ("transaction", "group", "abort"):
        at = _skip(data, at)
    _, at = _list(data, at)
    kind, at = _value(data, at)
    response = None
    if kind == _GET_LIST_RESPONSE:
        response, at = _list_response(data, at)
    else:
        at = _skip(data, at)
    crc, end = _value(data, at)
    if data[end] != 0:
        raise _BrokenError
    body = data[begin:at]
    if crc != _swapped(crc16_x25(body)) and crc != crc16_kermit(body):
        return Malformed(Reason.CHECKSUM, body), end + 1
    return response, end + 1


def _swapped(crc: int) -> int:
    return (crc & 0xFF) << 8 | crc >> 8


def _list_response(data: bytes, at: int) -> tuple[ListResponse, int]:
    count, at = _list(data, at)
    if count < _RESPONSE_MIN:
        raise _BrokenError
    server, at = _value(data, _skip(data, at))
    observed_at_ns, at = _time(data, _skip(data, at))
    length, at = _list(data, at)
    entries: dict[bytes, Entry] = {}
    for _ in range(length):
        at = _entry(data, at, entries)
    for _ in range(count - _RESPONSE_MIN):
        at = _skip(data, at)
    name = server if isinstance(server, bytes) else b""
    return ListResponse(name, observed_at_ns, entries), at


def _entry(data: bytes, at: int, entries: dict[bytes, Entry]) -> int:
    """Add the entry at `at` where it is a number, and say where it ends."""
    count, at = _list(data, at)
    if count < _ENTRY_MIN:
        raise _BrokenError
    code, at = _value(data, at)
    status, at = _value(data, at)
    unit, at = _value(data, _skip(data, at))
    scaler, at = _value(data, at)
    value, end = _value(data, at)
    if data[at] == _NOT_STATED:
        raise _BrokenError
    if type(value) is int and isinstance(code, bytes) and len(code) == _CODE:
        scaler = scaler or 0
        if isinstance(scaler, int) and -_SCALER_MAX <= scaler <= _SCALER_MAX:
            entries[code] = Entry(status, unit, scaler, value, end - at - 1)
    for _ in range(count - _ENTRY_MIN):
        end = _skip(data, end)
    return end


_DATED: Final = (2, 3)
"""Choices of a time: seconds since 1970 in UTC, and the same in a list with the offsets to local
time. 1 are seconds since the meter was installed."""


def _time(data: bytes, at: int) -> tuple[int | None, int]:
    """The date at `at`, and where it ends."""
    end = _skip(data, at)
    if not _is_list(data, at):
        return None, end
    choice, at = _value(data, _list(data, at)[1])
    if choice not in _DATED:
        return None, end
    if _is_list(data, at):
        at = _list(data, at)[1]
    seconds, _ = _value(data, at)
    if isinstance(seconds, int) and 0 < seconds < 1 << 32:
        return seconds * 10**9, end
    return None, end


# ------------------------------------------------------------------------- types and lengths

_NOT_STATED: Final = 0x01
_MORE: Final = 0x80
_OCTETS, _BOOLEAN, _INTEGER, _UNSIGNED, _LIST = 0x00, 0x40, 0x50, 0x60, 0x70
_SCALARS: Final = (_OCTETS, _BOOLEAN, _INTEGER, _UNSIGNED)
_NUMBER_MAX: Final = 8
_SIZE_MAX: Final = 0xFFFF
_SIZES: Final = bytes(head & 0x0F if head & 0xF0 in _SCALARS else 0 for head in range(256))
"""How long an element is by its first byte, for short scalars, which nearly all are; else 0."""


class _BrokenError(ValueError):
    """The bytes are no SML; where they end too early it is an IndexError."""


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Of the element at `at`: its kind, and where its content begins and ends.

    For a list the last is the number of elements.
    """
    head = data[at]
    kind, size, begin = head & 0x70, head & 0x0F, at + 1
    while head & _MORE:
        head = data[begin]
        size = size << 4 | head & 0x0F
        begin += 1
        if size > _SIZE_MAX:
            raise _BrokenError
    if kind == _LIST:
        return kind, begin, size
    if at + size < begin or kind not in _SCALARS:
        raise _BrokenError
    return kind, begin, at + size


def _is_list(data: bytes, at: int) -> bool:
    return data[at] & 0x70 == _LIST


def _list(data: bytes, at: int) -> tuple[int, int]:
    """How many elements the list at `at` has, and where they begin."""
    kind, begin, count = _head(data, at)
    if kind != _LIST:
        raise _BrokenError
    return count, begin


def _skip(data: bytes, at: int) -> int:
    """Where the element at `at` ends, with all that it holds."""
    pending = 1
    while pending:
        pending -= 1
        size = _SIZES[data[at]]
        if size:
            at += size
            continue
        kind, at, end = _head(data, at)
        if kind == _LIST:
            pending += end
        else:
            at = end
    return at


def _value(data: bytes, at: int) -> tuple[Value, int]:
    """The value at `at`, None where none is stated or it is a list; and where it ends."""
    kind = data[at]
    if kind == _NOT_STATED:
        return None, at + 1
    size = _SIZES[kind]
    if size:
        kind, begin, end = kind & 0x70, at + 1, at + size
    else:
        kind, begin, end = _head(data, at)
        if kind == _LIST:
            return None, _skip(data, at)
    content = data[begin:end]
    if kind == _OCTETS:
        return content, end
    if not 0 < len(content) <= _NUMBER_MAX:
        raise _BrokenError
    number = int.from_bytes(content, "big", signed=kind == _INTEGER)
    return (bool(number) if kind == _BOOLEAN else number), end

"""How a PDU travels: with an address and a CRC on a serial line, with a number in Modbus TCP.

The transaction number ties an answer to its request. A serial line has nothing like it: there an
answer that comes too late can be told from the next one only by waiting, which `station` does.
"""

from typing import ClassVar, Final, NamedTuple, Protocol

from gateway.framing.checksums import crc16_modbus
from gateway.model import Malformed, Reason
from gateway.protocols.modbus.framing import CRC_SIZE, MBAP_SIZE, REQUEST_SIZE, has_valid_crc
from gateway.protocols.modbus.pdu import BIT_FUNCTIONS, EXCEPTION_BIT, READ_FUNCTIONS

GENERAL_ADDRESSES: Final = frozenset({0xF8, 0xFE})
"""Whoever is alone on a line listens to them: PZEM-004T, SenseAir."""

_RTU_SIZE_MIN: Final = 4


class Message(NamedTuple):
    """What a frame carries."""

    address: int
    pdu: bytes
    number: int = 0
    is_request: bool = False
    """Only another master says such things."""


class Wire(Protocol):
    """The way to the devices."""

    numbered: ClassVar[bool]
    """Whether answers carry the number of their request."""
    overhead: ClassVar[int]
    """Bytes of an answer beside the values."""

    def restart(self) -> None:
        """The line was opened."""

    def seal(self, address: int, pdu: bytes) -> tuple[Message, bytes]:
        """A request, and its bytes."""

    def open(self, frame: bytes) -> Message | Malformed: ...

    def answers(self, request: Message, message: Message) -> bool:
        """Whether it comes from whom was asked, for all that the line tells."""


class RtuWire:
    numbered: ClassVar = False
    overhead: ClassVar = 3 + CRC_SIZE

    def restart(self) -> None:
        """Nothing to remember."""

    def seal(self, address: int, pdu: bytes) -> tuple[Message, bytes]:
        body = bytes([address]) + pdu
        return Message(address, pdu), body + crc16_modbus(body).to_bytes(CRC_SIZE, "little")

    def open(self, frame: bytes) -> Message | Malformed:
        if len(frame) < _RTU_SIZE_MIN:
            return Malformed(Reason.SYNTAX)
        if not has_valid_crc(frame):
            return Malformed(Reason.CHECKSUM)
        pdu = frame[1:-CRC_SIZE]
        return Message(frame[0], pdu, is_request=_is_request(pdu))

    def answers(self, request: Message, message: Message) -> bool:
        return request.address in GENERAL_ADDRESSES or request.address == message.address


def _is_request(pdu: bytes) -> bool:
    """An answer of the same length is possible: 3 bytes of bits."""
    function = pdu[0]
    if function not in READ_FUNCTIONS:
        return not function & EXCEPTION_BIT
    is_answer = function in BIT_FUNCTIONS and pdu[1] == len(pdu) - 2
    return len(pdu) == REQUEST_SIZE - 1 - CRC_SIZE and not is_answer


class TcpWire:
    numbered: ClassVar = True
    overhead: ClassVar = MBAP_SIZE + 2

    def __init__(self) -> None:
        self._number = 0

    def restart(self) -> None:
        self._number = 0

    def seal(self, address: int, pdu: bytes) -> tuple[Message, bytes]:
        self._number = self._number % 0xFFFF + 1
        header = (self._number, 0, 1 + len(pdu))
        data = b"".join(part.to_bytes(2) for part in header) + bytes([address]) + pdu
        return Message(address, pdu, self._number), data

    def open(self, frame: bytes) -> Message | Malformed:
        length = int.from_bytes(frame[4:6])
        if len(frame) <= MBAP_SIZE or any(frame[2:4]) or length != len(frame) - MBAP_SIZE + 1:
            return Malformed(Reason.SYNTAX)
        return Message(frame[MBAP_SIZE - 1], frame[MBAP_SIZE:], int.from_bytes(frame[:2]))

    def answers(self, request: Message, message: Message) -> bool:
        return request.number == message.number

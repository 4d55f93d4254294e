"""What a capture of a bus says, where nobody of us asks: answers, by the requests before them.

An answer does not say which registers it has: only the request does. So both must be there, as they
are on a serial line, whoever the master is. Of an answer to a configured device those registers are
read that lie within.
"""

from collections.abc import Sequence
from typing import Final

from gateway.model import Decoded, Ignored, Learned, Malformed, Reading, Reason, Verdict
from gateway.protocols.modbus.blocks import Block
from gateway.protocols.modbus.pdu import Refusal, Span, Table
from gateway.protocols.modbus.station import StationSettings
from gateway.protocols.modbus.wires import Message

_TABLES: Final = {table.function: table for table in Table}


class Listener:
    """Follows the conversation of others."""

    def __init__(self, settings: Sequence[StationSettings]) -> None:
        self._stations = {each.address: each for each in settings}
        self._asked: tuple[int, Span] | None = None

    def hear(self, message: Message) -> Verdict:
        """A request says what the next answer has."""
        if message.is_request:
            self._asked = _asked(message)
            return Learned() if self._asked else Ignored(Reason.UNASKED)
        asked, self._asked = self._asked, None
        station = self._stations.get(message.address)
        if asked is None or asked[0] != message.address or station is None:
            return Ignored(Reason.UNASKED)
        data = asked[1].answer(message.pdu)
        if isinstance(data, Refusal):
            return Malformed(Reason.EXCEPTION)
        registers = tuple(each for each in station.registers if each.is_within(asked[1]))
        if data is None or not registers:
            return Ignored(Reason.UNASKED)
        values = Block(asked[1], registers).values(data)
        units = {register.name: register.unit for register in registers if register.unit}
        return Decoded([Reading(values, units, station.name, station.measurement, station.tags)])


def _asked(message: Message) -> tuple[int, Span] | None:
    table = _TABLES.get(message.pdu[0])
    if table is None:
        return None
    start, count = (int.from_bytes(message.pdu[at : at + 2]) for at in (1, 3))
    return message.address, Span(table, start, count)

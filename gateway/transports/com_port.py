"""RFC 2217 without I/O: the serial port of a device server, its line set and its bytes exchanged.

    bytes from the socket --receive--> bytes of the serial line, and answers in `outgoing`

Telnet (RFC 854, 855) marks its commands with IAC, 255; a data byte of that value is sent twice. We
offer COM-PORT-OPTION and ask for BINARY and SUPPRESS-GO-AHEAD both ways; everything else is
refused. Once the server agrees, its buffers are emptied and the line is set; when it has confirmed
rate, data bits, parity and stop bits, the port is `ready`. What it sends before is of an earlier
opening, or heard at another rate, and dropped. Answers follow changes only, so that two polite
sides do not thank each other for ever.

Binary is taken for granted: servers that refuse the option send bytes as they are all the same.
What the server reports of modem and line states is not wanted. A subnegotiation that breaks off is
passed over.

Limits: SUBNEGOTIATION_MAX bytes of one subnegotiation, or else one that never ends would swallow
the stream. Whoever sends `outgoing` bounds it: it grows with what arrives.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SUBNEGOTIATION_MAX: Final = 512
"""COM-PORT-OPTION has 5 bytes; a signature may be longer."""

_SE: Final = 240
_SB: Final = 250
_WILL, _WONT, _DO, _DONT = 251, 252, 253, 254
_IAC: Final = 255
_MARK: Final = bytes((_IAC,))
_ESCAPED: Final = bytes((_IAC, _IAC))

_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT = 0, 3, 44
_OURS: Final = (_COM_PORT, _BINARY, _SUPPRESS_GO_AHEAD)
"""What we offer."""
_THEIRS: Final = (_BINARY, _SUPPRESS_GO_AHEAD)
"""What we ask for."""
_WELCOME: Final = frozenset((*_THEIRS, _COM_PORT))
"""What we let the server do."""


class _Command(IntEnum):
    """RFC 2217: what a client says; a server says the same 100 higher."""

    SIGNATURE = 0
    SET_BAUDRATE = 1
    SET_DATASIZE = 2
    SET_PARITY = 3
    SET_STOPSIZE = 4
    SET_CONTROL = 5
    SUSPEND = 8
    RESUME = 9
    SET_LINESTATE_MASK = 10
    SET_MODEMSTATE_MASK = 11
    PURGE_DATA = 12


_SERVER: Final = 100
_NO_FLOW_CONTROL, _DTR_ON, _DTR_OFF, _RTS_ON, _RTS_OFF = 1, 8, 9, 11, 12
_BOTH_BUFFERS: Final = 3
_PARITIES: Final = {"N": 1, "O": 2, "E": 3, "M": 4, "S": 5}
_KEYS: Final = {
    _Command.SET_BAUDRATE: "baudrate",
    _Command.SET_DATASIZE: "bytesize",
    _Command.SET_PARITY: "parity",
    _Command.SET_STOPSIZE: "stopbits",
}


class TelnetError(Exception):
    """The other side does not speak RFC 2217, in words for the operator."""


@dataclass(frozen=True, slots=True)
class Line:
    """How the serial line is to be set."""

    baudrate: int
    bytesize: int = 8
    parity: str = "N"
    """N, E, O, M, S."""
    stopbits: int = 1
    dtr: bool | None = None
    """None raises it, as terminals do."""
    rts: bool | None = None


class ComPort:
    """One connection's side of the conversation."""

    def __init__(self, line: Line) -> None:
        self.outgoing = bytearray()
        """What is to be sent; whoever sends it clears it."""
        self._line = line
        self._rest = b""
        """The beginning of a command."""
        self._asked = {(_DO, option) for option in _OURS} | {(_WILL, option) for option in _THEIRS}
        """Consents that we wait for."""
        self._agreed: set[tuple[int, int]] = set()
        self._unset = {
            _Command.SET_BAUDRATE: line.baudrate.to_bytes(4, "big"),
            _Command.SET_DATASIZE: bytes((line.bytesize,)),
            _Command.SET_PARITY: bytes((_PARITIES[line.parity],)),
            _Command.SET_STOPSIZE: bytes((line.stopbits,)),
        }
        """What the server has not confirmed yet."""
        self._other: dict[_Command, bytes] = {}
        """What it has set instead."""
        self._held: bytearray | None = None
        """What waits while the server takes nothing."""
        for option in _OURS:
            self._say(_WILL, option)
        for option in _THEIRS:
            self._say(_DO, option)

    @property
    def ready(self) -> bool:
        """The line is as it should be."""
        return not self._unset

    @property
    def unsent(self) -> int:
        """Bytes that the server does not want yet."""
        return len(self._held or b"")

    def missing(self) -> str:
        """Why it is not ready, in words."""
        if (_DO, _COM_PORT) not in self._agreed:
            return "it does not speak RFC 2217: if it passes bytes on as they are, write tcp://"
        command = next(iter(self._unset))
        if command in self._other:
            found, wanted = (
                _shown(command, v) for v in (self._other[command], self._unset[command])
            )
            return f"it sets {_KEYS[command]} to {found} instead of {wanted}"
        return f"it does not confirm {_KEYS[command]}"

    def send(self, data: bytes) -> None:
        """Bytes for the serial line."""
        escaped = data.replace(_MARK, _ESCAPED)
        if self._held is None:
            self.outgoing += escaped
        else:
            self._held += escaped

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the socket; return those of the serial line. Raises TelnetError."""
        data = self._rest + data
        line = bytearray()
        position = 0
        while (start := data.find(_MARK, position)) >= 0:
            line += data[position:start]
            was_ready = self.ready
            end = self._command(data, start, line)
            if end == start:
                self._rest = data[start:]
                break
            if self.ready and not was_ready:
                line.clear()
            position = end
        else:
            self._rest = b""
            line += data[position:]
        return bytes(line) if self.ready else b""

    def _command(self, data: bytes, start: int, line: bytearray) -> int:
        """Take what begins at `start`; returns where it ends, or `start` while it has no end."""
        code = data[start + 1] if start + 1 < len(data) else None
        if code is None:
            return start
        if code == _IAC:
            line.append(_IAC)
        elif code == _SB:
            return self._subnegotiation(data, start)
        elif code >= _WILL:
            if start + 2 == len(data):
                return start
            self._negotiate(code, data[start + 2])
            return start + 3
        return start + 2

    def _subnegotiation(self, data: bytes, start: int) -> int:
        position = start + 2
        while True:
            mark = data.find(_MARK, position)
            end = len(data) if mark < 0 else mark
            if end - start > SUBNEGOTIATION_MAX:
                raise TelnetError("it breaks the Telnet protocol: a subnegotiation without an end")
            if mark < 0 or mark + 1 == len(data):
                return start
            if data[mark + 1] != _IAC:
                break
            position = mark + 2
        if data[mark + 1] != _SE:
            return mark  # it breaks off, and this is the next command
        content = data[start + 2 : mark].replace(_ESCAPED, _MARK)
        if content[:1] == bytes((_COM_PORT,)) and len(content) > 1:
            self._hear(content[1] - _SERVER, content[2:])
        return mark + 2

    def _negotiate(self, said: int, option: int) -> None:
        """Answer WILL, WONT, DO, DONT where it changes something."""
        consent, yes, no, allowed = (
            (_WILL, _DO, _DONT, _WELCOME)
            if said in (_WILL, _WONT)
            else (_DO, _WILL, _WONT, frozenset(_OURS))
        )
        key = (consent, option)
        asked = key in self._asked
        self._asked.discard(key)
        if said != consent:
            if key in self._agreed:
                self._agreed.discard(key)
                self._say(no, option)
            if key == (_DO, _COM_PORT):
                raise TelnetError(self.missing())
        elif option not in allowed:
            self._say(no, option)
        elif key not in self._agreed:
            self._agreed.add(key)
            if not asked:
                self._say(yes, option)
            if key == (_DO, _COM_PORT):
                self._set_line()

    def _set_line(self) -> None:
        line = self._line
        self._tell(_Command.SET_LINESTATE_MASK, b"\0")
        self._tell(_Command.SET_MODEMSTATE_MASK, b"\0")
        self._tell(_Command.SET_CONTROL, bytes((_NO_FLOW_CONTROL,)))
        self._tell(_Command.SET_CONTROL, bytes((_DTR_OFF if line.dtr is False else _DTR_ON,)))
        self._tell(_Command.SET_CONTROL, bytes((_RTS_OFF if line.rts is False else _RTS_ON,)))
        self._tell(_Command.PURGE_DATA, bytes((_BOTH_BUFFERS,)))
        for command, value in self._unset.items():
            self._tell(command, value)

    def _hear(self, command: int, value: bytes) -> None:
        """Take what the server says about its port."""
        if command == _Command.SIGNATURE and not value:
            self._tell(_Command.SIGNATURE, b"Sensor Gateway")
        elif command == _Command.SUSPEND and self._held is None:
            self._held = bytearray()
        elif command == _Command.RESUME and self._held is not None:
            self.outgoing += self._held
            self._held = None
        elif command in self._unset and (_DO, _COM_PORT) in self._agreed:
            setting = _Command(command)
            if value == self._unset[setting]:
                del self._unset[setting]
            else:
                self._other[setting] = value[:4]

    def _say(self, command: int, option: int) -> None:
        self.outgoing += bytes((_IAC, command, option))

    def _tell(self, command: _Command, value: bytes) -> None:
        content = bytes((_COM_PORT, command)) + value
        self.outgoing += bytes((_IAC, _SB)) + content.replace(_MARK, _ESCAPED)
        self.outgoing += bytes((_IAC, _SE))


def _shown(command: _Command, value: bytes) -> str:
    """A value of the server's as the configuration writes it."""
    number = int.from_bytes(value, "big")
    if command is _Command.SET_PARITY:
        return next((letter for letter, code in _PARITIES.items() if code == number), "?")
    return f"{number}"

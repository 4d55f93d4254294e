"""A device server that speaks RFC 2217, in memory: pyserial's, before a pretended serial port."""

from dataclasses import dataclass, field

import serial
from serial.rfc2217 import PortManager


@dataclass
class PretendedPort:
    """What pyserial's server sets on its serial port."""

    baudrate: int = 300
    bytesize: int = 7
    parity: str = serial.PARITY_MARK
    stopbits: float = 2
    dtr: bool | None = None
    rts: bool | None = None
    xonxoff: bool = True
    rtscts: bool = True
    cts: bool = False
    dsr: bool = False
    ri: bool = False
    cd: bool = False
    purged: list[str] = field(default_factory=list)

    def reset_input_buffer(self) -> None:
        self.purged.append("input")

    def reset_output_buffer(self) -> None:
        self.purged.append("output")


class DeviceServer:
    """The server's end of one connection."""

    def __init__(self) -> None:
        self.serial = PretendedPort()
        self.outgoing = bytearray()
        self._telnet = PortManager(self.serial, self)

    def write(self, data: bytes) -> None:
        """Pyserial's call: bytes for the client."""
        self.outgoing += data

    def say(self, data: bytes) -> None:
        """Bytes from the serial line."""
        self.outgoing += b"".join(self._telnet.escape(data))

    def receive(self, data: bytes) -> bytes:
        """The bytes for the serial line among those from the client."""
        return b"".join(self._telnet.filter(data))

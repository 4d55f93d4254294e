"""What a `[[serial]]` entry means: a way in for a byte stream, and the speed of its line.

A part of the composition root: here `Config` ends for ports.
"""

from typing import cast

from gateway.baudrates import COMMON
from gateway.config.ports import Way, address_of
from gateway.config.sources import Serial
from gateway.model import Device
from gateway.transports.com_port import Line
from gateway.transports.process import ProcessSettings, ProcessTransport
from gateway.transports.rfc2217 import Rfc2217Transport
from gateway.transports.serial import PortSettings, SerialTransport
from gateway.transports.stdin import StdinTransport
from gateway.transports.tcp import TcpSettings, TcpTransport

RealPort = SerialTransport | TcpTransport | StdinTransport | ProcessTransport


def at_rates(entry: Serial, device: Device) -> dict[int, Serial]:
    """The entry at the rate of its line; where that is to be found out, at each, the likely first.

    `device` is that of the entry's decoder.
    """
    known = device.baudrates or COMMON
    if isinstance(entry.baudrate, int):
        rates = [entry.baudrate]
    else:
        rates = [known[0]] if entry.baudrate is None else list(dict.fromkeys((*known, *COMMON)))
    return {rate: entry.model_copy(update={"baudrate": rate}) for rate in rates}


def character_s(entry: Serial) -> float:
    """How long a character takes on the line, with its start and stop bits; 0 where it is none."""
    if entry.way() not in (Way.SERIAL, Way.RFC2217):
        return 0.0
    bits = 1 + entry.bytesize + (entry.parity != "N") + entry.stopbits
    return bits / _rate(entry)


def _rate(entry: Serial) -> int:
    """Of an entry that `at_rates` made."""
    return cast("int", entry.baudrate)


def make_port(entry: Serial) -> RealPort:
    """The way in of an entry that `at_rates` made; nothing has opened it yet."""
    silence_timeout_s = entry.silence_timeout or None
    if entry.port is None:
        return ProcessTransport(ProcessSettings(entry.name, entry.command or (), silence_timeout_s))
    match entry.way():
        case Way.STDIN:
            return StdinTransport(silence_timeout_s)
        case Way.TCP:
            return TcpTransport(TcpSettings(*address_of(entry.port), silence_timeout_s))
        case Way.RFC2217:
            settings = TcpSettings(*address_of(entry.port), silence_timeout_s)
            return Rfc2217Transport(settings, _line(entry))
        case _:
            return SerialTransport(_port_settings(entry.port, entry))


def _line(entry: Serial) -> Line:
    return Line(_rate(entry), entry.bytesize, entry.parity, entry.stopbits, entry.dtr, entry.rts)


def _port_settings(port: str, entry: Serial) -> PortSettings:
    return PortSettings(
        port=port,
        baudrate=_rate(entry),
        bytesize=entry.bytesize,
        parity=entry.parity,
        stopbits=entry.stopbits,
        dtr=entry.dtr,
        rts=entry.rts,
        silence_timeout_s=entry.silence_timeout or None,
    )

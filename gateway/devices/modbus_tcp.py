"""Modbus TCP: the same devices as `modbus`, behind a gateway or with a network of their own.

Frame: transaction number (2 bytes, the answer repeats it), 0 (2 bytes), length of what follows (2),
unit (the address behind a gateway; 1, 0 or 255 for a device itself), function and data. There is no
checksum: TCP has its own. Port 502. A gateway says with the exceptions 10 and 11 that a device on
its bus does not answer: this counts like silence.

A converter that only carries bytes between TCP and RS-485 speaks `modbus`, not this.
"""

from gateway.model import Device
from gateway.protocols.modbus.framing import TcpFramer
from gateway.protocols.modbus.master import Master
from gateway.protocols.modbus.settings import read_devices
from gateway.protocols.modbus.wires import TcpWire


def _decoder(*, devices: object = None) -> Master:
    return Master(TcpWire(), read_devices(devices, serial=False))


DEVICE = Device(
    name="modbus_tcp",
    summary="Modbus TCP devices and gateways",
    decoder=_decoder,
    framer=TcpFramer,
    options=frozenset({"devices"}),
)

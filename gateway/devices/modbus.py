"""Modbus RTU: meters, charge controllers and sensors on RS-485, asked by us as the bus master.

Line: 8 data bits. A frame is address, function, data and CRC-16 (low byte first), at most 256
bytes; 3.5 characters of silence stand between frames. SDM120 comes with 2,400 baud, most others
with 9,600, EPEVER with 115,200. Even parity is the standard's default, none the makers'.

Only the functions that read are ever used: 1 coils, 2 discrete inputs, 3 holding registers, 4 input
registers. An answer repeats address and function, then come the number of bytes and the values; an
exception has the function's highest bit set, and a code. What becomes of them: one reading per
device and beat, from all of its requests. More of it stands in `gateway.protocols.modbus`:

* how frames are found (`framing`), an answer is known to be one (`master`, `wires`);
* what is read together (`blocks`), and when (`station`, `grid`, `standing`);
* what bits mean (`registers`), and what the products of the templates are (`templates`).

Traps: two masters on one bus destroy each other's frames; two devices with one address do so too;
some adapters repeat what they send; word orders differ; registers are numbered from 0 here, where
manuals often say 30001 (input) or 40001 (holding) for the first one.
"""

from gateway.model import Device
from gateway.protocols.modbus.framing import RtuFramer
from gateway.protocols.modbus.master import Master
from gateway.protocols.modbus.settings import read_devices
from gateway.protocols.modbus.wires import RtuWire


def _decoder(*, devices: object = None) -> Master:
    return Master(RtuWire(), read_devices(devices, serial=True))


DEVICE = Device(
    name="modbus",
    summary="Modbus RTU devices on a serial bus: meters, charge controllers, sensors",
    decoder=_decoder,
    framer=RtuFramer,
    options=frozenset({"devices"}),
    baudrates=(9_600, 2_400, 19_200, 115_200, 38_400, 4_800),
)

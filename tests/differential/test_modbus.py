"""Modbus against pymodbus (https://github.com/pymodbus-dev/pymodbus, BSD-3): it is the device.

Its server has registers that its own conversion filled with random values; here they are read by a
random register map, over TCP and over RTU on a pseudo-terminal, some of them missing.
"""

import asyncio
import os
import random
import tty
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from tests.polled import Line
from tests.ports import free_port

Client = ModbusClientMixin[Any]

ADDRESS = 17
REGISTERS = 60
BITS = 120
SECONDS = 2.0

NUMBERS: Mapping[str, Callable[[random.Random], float]] = {
    "int16": lambda rng: rng.randint(-(2**15), 2**15 - 1),
    "uint16": lambda rng: rng.randint(0, 2**16 - 1),
    "int32": lambda rng: rng.randint(-(2**31), 2**31 - 1),
    "uint32": lambda rng: rng.randint(0, 2**32 - 1),
    "int64": lambda rng: rng.randint(-(2**63), 2**63 - 1),
    "uint64": lambda rng: rng.randint(0, 2**64 - 1),
    "float32": lambda rng: rng.uniform(-1e6, 1e6),
    "float64": lambda rng: rng.uniform(-1e12, 1e12),
}


class World:
    """What the server holds, and what the gateway is told and must find of it."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.options: list[dict[str, object]] = []
        self.expected: dict[str, float] = {}
        self.blocks: list[list[SimData]] = [self._bits(table) for table in ("coil", "discrete")]
        self.blocks += [self._registers(table) for table in ("holding", "input")]

    def device(self) -> SimDevice:
        coils, discrete, holding, inputs = self.blocks
        return SimDevice(ADDRESS, simdata=(coils, discrete, holding, inputs))

    def _bits(self, table: str) -> list[SimData]:
        start = self.rng.randint(0, 50)
        bits = [self.rng.random() < 0.5 for _ in range(BITS)]
        for at in sorted(self.rng.sample(range(BITS), 12)):
            self._want(table, start + at, "bool", float(bits[at]))
        return [SimData(start, values=list(bits), datatype=DataType.BITS)]

    def _registers(self, table: str) -> list[SimData]:
        """Values at random places; some places do not exist at all, and one of them is wanted."""
        found: list[SimData] = []
        address = self.rng.randint(0, 1000)
        end = address + REGISTERS
        while address < end:
            kind = self.rng.choice(list(NUMBERS))
            order = self.rng.choice(("big", "little"))
            number = NUMBERS[kind](self.rng)
            words = Client.convert_to_registers(number, Client.DATATYPE[kind.upper()], order)  # type: ignore[arg-type]
            found.append(SimData(address, values=list(words), datatype=DataType.REGISTERS))
            self._want(table, address, kind, number, word_order=order)
            address += len(words) + self.rng.choice((0, 0, 0, 1, 4, 20))
        self.options.append({"name": f"missing_{table}", "register": address + 1, "table": table})
        return found

    def _want(self, table: str, address: int, kind: str, number: float, **more: str) -> None:
        name = f"{table}_{address}_x"
        self.options.append(
            {"name": name, "register": address, "table": table, "type": kind, **more}
        )
        self.expected[name] = number


class RealLine(Line):
    """The same line with real bytes on it."""

    def __init__(self, decoder: str, world: World, send: Callable[[bytes], object]) -> None:
        device = {
            "name": "d",
            "address": ADDRESS,
            "interval": "100ms",
            "registers": world.options,
            "read_max": world.rng.randint(4, 125),
            "read_gap": world.rng.randint(0, 10),
        }
        super().__init__(decoder, lambda *_: (), baudrate=115_200, options={"devices": [device]})
        self._send = send

    def write(self, data: bytes) -> None:
        self._send(data)


async def compare(line: RealLine, world: World) -> None:
    """Ask for a while: the last reading has everything that there is."""
    await line.run(SECONDS)
    *_, last = await line.observations()
    assert last.fields == {n: pytest.approx(v, rel=1e-7) for n, v in world.expected.items()}
    account = line.account
    assert account.timeouts <= 1  # what is asked when the line is closed
    assert account.invalid == account.ignored == account.bytes_noise == 0
    assert account.exceptions > 0


@pytest.mark.parametrize("seed", range(2))
async def test_over_tcp(seed: int) -> None:
    world, port = World(seed), free_port()
    server = ModbusTcpServer(world.device(), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        line = RealLine("modbus_tcp", world, writer.write)
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(reader, line))
            await compare(line, world)
            listening.cancel()
        writer.close()
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def listen(reader: asyncio.StreamReader, line: RealLine) -> None:
    while data := await reader.read(4096):
        line.deliver(data)


async def test_over_a_serial_line() -> None:
    world = World(2)
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    server = ModbusSerialServer(world.device(), port=os.ttyname(slave), baudrate=115_200)
    await server.serve_forever(background=True)
    loop = asyncio.get_running_loop()
    line = RealLine("modbus", world, lambda data: os.write(master, data))
    loop.add_reader(master, lambda: line.deliver(os.read(master, 4096)))
    try:
        await compare(line, world)
    finally:
        loop.remove_reader(master)
        await server.shutdown()  # type: ignore[no-untyped-call]
        os.close(slave)
        os.close(master)

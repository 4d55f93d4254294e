"""Serial ports by the hundred, of mixed protocols, each line full: every frame, and what it takes.

The bytes are those of the simulated devices, made beforehand. A thread writes them to
pseudo-terminals at the pace of each protocol's line, without a pause. A pseudo-terminal holds its
writer back when its reader is late, where a real line would lose bytes; so the lateness is measured
too, and more than a driver's buffer (4 KiB) of it counts as a loss.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from gateway.console.status import Status
from gateway.devices import devices
from simulators.devices import Device, Quantity, Senses, decoder_options, make_device
from simulators.devices.text import Form, Style, TextDevice
from simulators.world import Climate, World
from tests.integration.influxd import Influxd
from tests.integration.rig import DATABASE, GatewayProcess, LatencyMark, at_rest
from tests.load import pseudo_terminal, table

BITS_PER_BYTE = 10
DRIVER_BUFFER = 4_096
SETTLE_S = 1.0
TICK_S = 0.01


@dataclass(frozen=True, slots=True)
class Product:
    """A device on a line; without a baud rate it has the decoder's first."""

    decoder: str
    variant: str = ""
    baudrate: int = 0

    @property
    def speed(self) -> int:
        """Bits per second."""
        return self.baudrate or devices()[self.decoder].baudrates[0]


PRODUCTS = (
    Product("text", "json", 115_200),
    Product("nmea0183", "boat"),
    Product("vedirect", "mppt_hex"),
    Product("pms"),
    Product("sds011"),
    Product("sml", "smarty"),
    Product("dsmr", "v5"),
    Product("iec62056", "d0"),
    Product("teleinfo", "standard", 9_600),
    Product("teleinfo", "historic"),
    Product("rtl_433", baudrate=115_200),
    Product("frames", baudrate=9_600),
)


@dataclass(frozen=True, slots=True)
class Recital:
    """What a product says in a while."""

    data: bytes
    frames: int


@dataclass(slots=True)
class Speaker:
    """One port: what is to be said on it, and what has been."""

    name: str
    product: Product
    recital: Recital
    speed: int
    master: int
    path: str
    sent: int = 0
    late: int = 0
    """The most bytes that waited for the reader."""

    @property
    def is_done(self) -> bool:
        return self.sent == len(self.recital.data)

    def speak(self, passed_s: float) -> None:
        """Say what the line has had the time for."""
        data = self.recital.data
        due = min(int(passed_s * self.speed / BITS_PER_BYTE), len(data))
        if due > self.sent:
            with suppress(BlockingIOError):
                self.sent += os.write(self.master, data[self.sent : due])
            self.late = max(self.late, due - self.sent)

    def entry(self) -> str:
        """The gateway's configuration of it."""
        return (
            f'[[serial]]\nname = "{self.name}"\nport = "{self.path}"\n'
            f'baudrate = {self.speed}\ndecoder = "{self.product.decoder}"\n'
            + "\n".join(decoder_options(self.product.decoder, self.product.variant))
        )


def run(folder: Path, seconds: float, ports: int, baudrate: int) -> tuple[bool, list[str]]:
    """Whether every frame was decoded, and a report; `baudrate` 0: each product's own."""
    with ExitStack() as stack:
        influxd = stack.enter_context(Influxd(folder))
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        speakers = _speakers(stack, seconds, ports, baudrate)
        gateway = GatewayProcess(folder)
        gateway.configure("\n".join(map(Speaker.entry, speakers)), influxdb=influxd.url)
        stack.enter_context(gateway.running())
        gateway.await_connected()
        time.sleep(SETTLE_S)
        started, cpu_s = time.monotonic(), gateway.cpu_s()
        _recite(speakers)
        took_s, cpu_s = time.monotonic() - started, gateway.cpu_s() - cpu_s
        status = gateway.await_status("at rest", at_rest, 120)
        latency = LatencyMark.of(gateway)
        memory = gateway.memory_kib("VmHWM") / 1024
    size, frames = (
        sum(len(each.recital.data) for each in speakers),
        sum(each.recital.frames for each in speakers),
    )
    wrong = _differences(speakers, status)
    rows = {
        "ports, protocols": f"{ports}, {len({each.product.decoder for each in speakers})}",
        "bytes": f"{size:,}, {size / took_s:,.0f} a second",
        "frames": f"{frames:,}, {frames / took_s:,.0f} a second",
        "took": f"{took_s:.1f} s for {seconds:g} s of line",
        "most bytes that waited for the gateway": f"{max(each.late for each in speakers):,}",
        "CPU": f"{100 * cpu_s / took_s:.0f} % of one core, {1e6 * cpu_s / frames:.0f} us per frame,"
        f" {1e9 * cpu_s / size:.0f} ns per byte",
        "memory at most": f"{memory:.1f} MiB",
        "arrival to commit, p99": f"{1e3 * latency.quantile_s(0.99):.0f} ms",
        "frames lost": f"{len(wrong)} ports differ",
        "ledger": "balanced" if status["ledger"]["balanced"] else "WRONG",
    }
    return not wrong, table(rows) + wrong


def _speakers(stack: ExitStack, seconds: float, ports: int, baudrate: int) -> list[Speaker]:
    recitals = {
        product: _recital(product, baudrate or product.speed, seconds) for product in PRODUCTS
    }
    speakers = []
    for number in range(ports):
        product = PRODUCTS[number % len(PRODUCTS)]
        name = f"{product.decoder}-{number}"
        master, path = pseudo_terminal(stack)
        speed = baudrate or product.speed
        speakers.append(Speaker(name, product, recitals[product], speed, master, path))
    return speakers


def _recital(product: Product, speed: int, seconds: float) -> Recital:
    """As much as the line takes in the time, in whole frames."""
    world = World(seed=1)
    device = _device(product, lambda what, t: world.value("here", what, t, Climate.OUTDOOR))
    size_max = int(seconds * speed / BITS_PER_BYTE)
    data, frames = bytearray(), 0
    for sequence in count(1):
        items = device.emit(sequence, float(sequence))
        if len(data) + sum(len(item.data) for item in items) > size_max:
            return Recital(bytes(data), frames)
        data += b"".join(item.data for item in items)
        frames += len(items)
    raise AssertionError


def _device(product: Product, measure: Callable[[str, float], float]) -> Device:
    if product.decoder != "text":
        return make_device(product.decoder, "here", measure, product.variant)
    senses = Senses(measure, tuple(Quantity(q, q) for q in ("temperature", "humidity", "pressure")))
    return TextDevice("here", senses, Style(Form(product.variant)))


def _recite(speakers: Sequence[Speaker]) -> None:
    started = time.monotonic()
    waiting = list(speakers)
    while waiting:
        passed_s = time.monotonic() - started
        for each in waiting:
            each.speak(passed_s)
        waiting = [each for each in waiting if not each.is_done]
        time.sleep(TICK_S)


def _differences(speakers: Sequence[Speaker], status: Status) -> list[str]:
    """Ports whose frames were not all understood, or whose line would have lost some."""
    found = []
    for each in speakers:
        counts = status["ledger"]["sources"][each.name]["counts"]
        understood = counts["decoded"] + counts["state"] + counts["repeated_frames"]
        if understood != each.recital.frames or counts["bytes_noise"]:
            losses = [x for x in status["ledger"]["losses"] if x["source"] == each.name]
            found.append(f"{each.name}: {understood} of {each.recital.frames} frames, {losses[:3]}")
        elif each.late > DRIVER_BUFFER:
            found.append(f"{each.name}: {each.late} bytes waited: a real line would lose some")
    return found

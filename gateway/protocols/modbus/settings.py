"""The option `devices` of the Modbus decoders: tables become `StationSettings`, or all mistakes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from gateway.names import measurement, name
from gateway.options import Problems
from gateway.options import Table as Options
from gateway.protocols.modbus.blocks import Limits
from gateway.protocols.modbus.pdu import REGISTERS_MAX, Table
from gateway.protocols.modbus.registers import BIT, TYPES, Order, Register
from gateway.protocols.modbus.station import StationSettings
from gateway.protocols.modbus.template import Template
from gateway.protocols.modbus.templates import TEMPLATES
from gateway.protocols.modbus.wires import GENERAL_ADDRESSES

ADDRESS_MAX: Final = 247
UNIT_MAX: Final = 255
DEVICES_MAX: Final = 255

ORDERS: Final = ("big", "little")
LAST: Final = 0xFFFF

_ORDER_KEYS: Final = ("word_order", "byte_order")
_SCALE_MAX: Final = 1e12

_GENERIC: Final = Template("", "", "", "", (), Limits(size=REGISTERS_MAX, gap=8))
"""A device of which only the registers are known."""


def read_devices(devices: object, *, serial: bool) -> list[StationSettings]:
    """Raise ConfigError with everything that is wrong; addresses on a `serial` line are fewer."""
    problems = Problems()
    options = Options({} if devices is None else {"devices": devices}, "", problems)
    tables = options.tables("devices")
    found = [_station(table, serial=serial) for table in tables]
    problems.check()
    _compare(tables, found, serial=serial)
    problems.check()
    return found


def _compare(tables: Sequence[Options], found: Sequence[StationSettings], *, serial: bool) -> None:
    """What is wrong only beside another device."""
    for number, each in enumerate(found):
        for key in ("name", "address"):
            before = [getattr(other, key) for other in found[:number]]
            if getattr(each, key) in before:
                owner = before.index(getattr(each, key))
                tables[number].wrong(key, f"devices[{owner}] has it already")
        if serial and each.address in GENERAL_ADDRESSES and len(found) > 1:
            words = "every device of its kind answers to it, so it must be alone on the line"
            tables[number].wrong("address", words)


def _station(table: Options, *, serial: bool) -> StationSettings:
    template_name = _choice(table, "template", TEMPLATES)
    template = TEMPLATES.get(template_name, _GENERIC)
    own, registers = _registers(table, template)
    settings = StationSettings(
        name=table.named("name", None),
        address=_address(table, serial=serial),
        registers=registers,
        limits=_limits(table, template, registers),
        template=template_name,
        own=own,
        interval_s=table.seconds("interval", "100ms", "7d", "10s"),
        timeout_s=table.seconds("timeout", "10ms", "1min", "500ms"),
        retries=table.whole("retries", 0, 10, 1),
        measurement=table.named("measurement", template.measurement, measurement),
        tags=table.tags("tags"),
    )
    table.end()
    return settings


def _registers(table: Options, template: Template) -> tuple[frozenset[str], list[Register]]:
    """The device's own, by name, and all: those of the template that have no own one's name."""
    orders = {key: _choice(table, key, ORDERS) for key in _ORDER_KEYS}
    own: dict[str, Register] = {}
    for each in table.tables("registers") if table.has("registers") else ():
        register = _register(each, orders)
        if register.name in own:
            each.wrong("name", "this device has it already")
        own[register.name] = register
    others = [_ordered(each, orders) for each in template.registers if each.name not in own]
    if not own and not others:
        table.wrong("template", "missing; a device has a template, or registers, or both")
    return frozenset(own), [*others, *own.values()]


def _choice(table: Options, key: str, known: Iterable[str]) -> str:
    """One of the known words, or none of them."""
    return table.choice(key, known, None) if table.has(key) else ""


def _address(table: Options, *, serial: bool) -> int:
    if not serial:
        return table.whole("address", 0, UNIT_MAX)
    address = table.whole("address", 1, max(GENERAL_ADDRESSES))
    if address > ADDRESS_MAX and address not in GENERAL_ADDRESSES:
        general = " and ".join(map(str, sorted(GENERAL_ADDRESSES)))
        table.wrong("address", f"allowed: 1 to {ADDRESS_MAX}, and the general ones {general}")
    return address


def _limits(table: Options, template: Template, registers: Sequence[Register]) -> Limits:
    longest = max((register.count for register in registers), default=1)
    return Limits(
        table.whole("read_max", longest, REGISTERS_MAX, template.limits.size),
        table.whole("read_gap", 0, REGISTERS_MAX, template.limits.gap),
    )


def _ordered(register: Register, orders: Mapping[str, str]) -> Register:
    """A template's register on a device whose order was changed."""
    changed = {key: order for key, order in orders.items() if order}
    return replace(register, **cast("dict[str, Any]", changed))


def _register(table: Options, orders: Mapping[str, str]) -> Register:
    place = Table(table.choice("table", Table, Table.HOLDING))
    kind = table.choice("type", TYPES, BIT if place.holds_bits else "uint16")
    if place.holds_bits and kind != BIT:
        table.wrong("type", f"a {place} is a {BIT}")
    address = table.whole("register", 0, LAST + 1 - TYPES[kind].words)
    bit = table.whole("bit", 0, 15, 0)
    if table.has("bit") and (place.holds_bits or kind != BIT):
        table.wrong("bit", f"only a {BIT} in a register has one")
    register = Register(
        name=table.named("name", None, name),
        address=address,
        type=kind,
        unit=table.unit("unit"),
        scale=_scale(table),
        offset=table.number("offset", 0.0),
        table=place,
        word_order=_order(table, "word_order", orders),
        byte_order=_order(table, "byte_order", orders),
        bit=bit,
        invalid=table.wholes("invalid"),
        separate=table.flag("separate"),
    )
    table.end()
    return register


def _order(table: Options, key: str, orders: Mapping[str, str]) -> Order:
    return cast("Order", table.choice(key, ORDERS, orders[key] or "big"))


def _scale(table: Options) -> float:
    scale = table.number("scale", 1.0)
    if not 1 / _SCALE_MAX <= abs(scale) <= _SCALE_MAX:
        table.wrong("scale", f"a number other than 0 is expected, up to {_SCALE_MAX:g}")
    return scale

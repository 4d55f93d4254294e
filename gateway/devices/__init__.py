"""The devices: one file per protocol or payload convention, found by being here.

A file offers a `Device` under the name `DEVICE`: its decoder, and for byte streams its framer. A
decoder is pure and never raises on any bytes; what several share stands outside of this package,
for no device imports another. Files whose name begins with an underscore are not looked at.

Other distributions add devices with an entry point in the group `gateway.devices`. One that cannot
be loaded, or takes a name that is taken, is a sentence in `problems`, and no more than that. Files
in a folder of the operator's: `gateway.decoders`.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Final

from gateway.model import Device

GROUP: Final = "gateway.devices"

FOREIGN_FAILS: Final = (Exception, SystemExit)
"""What code of others raises when it is broken or not made for this machine: anything."""


def devices() -> Mapping[str, Device]:
    """Every device by its name, in alphabetical order."""
    return _load()[0]


def problems() -> tuple[str, ...]:
    """Entry points that gave no device, in words for the operator."""
    return _load()[1]


def as_device(offered: object) -> Device | None:
    """What a module of others offers, if it is a device."""
    if isinstance(offered, Device) and isinstance(offered.name, str) and offered.name:
        return offered
    return None


@cache
def _load() -> tuple[Mapping[str, Device], tuple[str, ...]]:
    found = {device.name: device for device in _own()}
    problems: list[str] = []
    for point in entry_points(group=GROUP):
        device = _foreign(point)
        if isinstance(device, str):
            problems.append(device)
        elif device.name in found:
            problems.append(f"device {device.name!r} of {point.value}: the name is taken")
        else:
            found[device.name] = device
    return MappingProxyType(dict(sorted(found.items()))), tuple(problems)


def _own() -> list[Device]:
    modules = [
        importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
        if not info.name.startswith("_")
    ]
    return [module.DEVICE for module in modules]


def _foreign(point: EntryPoint) -> Device | str:
    try:
        device = as_device(point.load())
    except FOREIGN_FAILS as error:
        return f"device {point.name!r} of {point.value} cannot be loaded: {error!r}"
    return device or f"device {point.name!r}: {point.value} is no gateway.model.Device"

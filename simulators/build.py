"""From the groups of a scenario to single devices, each with its script."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from simulators.bus import Bus
from simulators.devices import Device, Responder, Senses, fill, make_product
from simulators.devices.mqtt_json import JsonDevice
from simulators.devices.mqtt_value import ValueDevice
from simulators.devices.text import TextDevice
from simulators.scenario import Group, MqttGroup, Scenario, SerialGroup
from simulators.script import Script
from simulators.seeds import generator
from simulators.world import Climate, World


@dataclass(frozen=True, slots=True)
class SerialPart:
    """One serial device: its name, its script and where its port will be."""

    name: str
    script: Script
    link: Path
    group: SerialGroup


@dataclass(frozen=True, slots=True)
class AnsweringPart:
    """What answers on one port, and where it will be; `speakers` are named in its replies."""

    name: str
    responder: Responder
    speakers: Mapping[str, str]
    """Who says it in a reply, and the name of that device."""
    link: Path
    group: SerialGroup


@dataclass(frozen=True, slots=True)
class MqttPart:
    """One device on the broker: its name and its script."""

    name: str
    script: Script
    group: MqttGroup


def new_world(scenario: Scenario) -> World:
    """Return the world that all devices of a scenario share."""
    return World(scenario.seed, day_s=scenario.day_s, start_hour=scenario.start_hour)


def serial_parts(scenario: Scenario, world: World) -> Iterator[SerialPart | AnsweringPart]:
    """Yield every serial device, and every bus of them."""
    for group in scenario.serial:
        for name, link in zip(group.names(), group.links(), strict=True):
            location = group.location if group.location != group.name else name
            if group.variants:
                yield _bus(group, name, link, world, location)
                continue
            device = _serial_device(group, name, group.variant, world, location)
            if isinstance(device, Responder):
                yield AnsweringPart(name, device, {"": name}, link, group)
            else:
                yield SerialPart(name, _script(scenario, group, device), link, group)


def _bus(group: SerialGroup, name: str, link: Path, world: World, location: str) -> AnsweringPart:
    members = [
        device
        for member, variant in zip(group.members(name), group.variants, strict=True)
        if isinstance(device := _serial_device(group, member, variant, world, location), Responder)
    ]
    speakers = {member.name: member.name for member in members}
    return AnsweringPart(name, Bus(name, members, echo=group.echo), speakers, link, group)


def mqtt_parts(scenario: Scenario, world: World) -> Iterator[MqttPart]:
    """Yield every device on the broker."""
    for group in scenario.mqtt:
        for index, name in enumerate(group.names()):
            location = group.locations[index % len(group.locations)]
            topic = fill(group.topic, {"location": location, "device": name})
            device = _mqtt_device(group, name, _senses(world, group, location), topic)
            yield MqttPart(name, _script(scenario, group, device), group)


def _serial_device(
    group: SerialGroup, name: str, variant: str, world: World, location: str
) -> Device | Responder:
    if group.device == "text":
        return TextDevice(name, _senses(world, group, location), group.style)
    measure = partial(_measure, world, location, group.climate)
    return make_product(group.device, name, measure, variant)


def _mqtt_device(group: MqttGroup, name: str, senses: Senses, topic: str) -> Device:
    if group.form == "value":
        return ValueDevice(name, senses, topic)
    return JsonDevice(name, senses, topic, nested=group.form == "nested")


def _senses(world: World, group: Group, location: str) -> Senses:
    return Senses(
        partial(_measure, world, location, group.climate), group.quantities, group.sequence
    )


def _measure(world: World, place: str, climate: Climate, quantity: str, t: float) -> float:
    return world.value(place, quantity, t, climate)


def _script(scenario: Scenario, group: Group, device: Device) -> Script:
    return Script(device, group.plan, generator(scenario.seed, device.name, "script"))

"""The gateway's configuration that reads a scenario's devices, as TOML text.

Written from the published syntax of that file, not from the code that reads it. A password is never
shown: it has to be put into a file by hand.
"""

import json
from collections.abc import Iterator

from simulators.devices import decoder_options
from simulators.devices.modbus import place
from simulators.devices.text import Form
from simulators.mqtt import Address
from simulators.scenario import MqttGroup, Scenario, SerialGroup

TEMPLATES = {"s8": "senseair_s8"}
"""The gateway's name for a model, where it has another one."""


def configuration(scenario: Scenario) -> str:
    """Return the sections for all ports, and one for the broker."""
    lines = [line for group in scenario.serial for line in _serial(group)]
    if scenario.mqtt:
        lines += _mqtt(scenario)
    return "\n".join(lines)


def _serial(group: SerialGroup) -> Iterator[str]:
    for name, link in zip(group.names(), group.links(), strict=True):
        yield "[[serial]]"
        yield f"name = {quoted(name)}"
        if group.listen is None:
            yield f"port = {quoted(str(link.absolute()))}"
            yield f"baudrate = {group.line.baudrate}"
        else:
            host, port = group.listen
            yield f"port = {quoted(f'tcp://{bracketed(host)}:{port}')}"
        yield f"decoder = {quoted(group.device)}"
        yield from decoder_options(group.device, group.variant)
        if group.device == "text" and group.style.form is Form.CSV:
            names = ["sequence"] * group.sequence + [each.name for each in group.quantities]
            yield f"columns = [{', '.join(map(quoted, names))}]"
        if group.device == "modbus":
            yield from _modbus(group, name)
        if group.location != group.name:
            yield f"tags = {{ location = {quoted(group.location)} }}"
        yield ""


def _modbus(group: SerialGroup, name: str) -> Iterator[str]:
    """Yield what the gateway must be told of a bus: nobody can find out what is on it."""
    interval = f"{group.plan.interval_s:g}s"
    names = group.members(name) or [name]
    yield "devices = ["
    for member, variant in zip(names, group.variants or (group.variant,), strict=True):
        model, address, _ = place(variant)
        yield (
            f"  {{ name = {quoted(member)}, address = {address},"
            f' template = {quoted(TEMPLATES.get(model, model))}, interval = "{interval}" }},'
        )
    yield "]"


def _mqtt(scenario: Scenario) -> Iterator[str]:
    address = Address.parse(scenario.broker_url)
    yield "[[mqtt]]"
    yield 'name = "simulators"'
    yield f"url = {quoted(f'mqtt://{bracketed(address.host)}:{address.port}')}"
    if address.username is not None:
        yield f"username = {quoted(address.username)}"
    if address.password is not None:
        yield 'password_file = "/path/to/a/file/with/the/password"'
    yield f"qos = {min(1, max(group.qos for group in scenario.mqtt))}"
    yield "subscribe = ["
    yield from dict.fromkeys(map(_subscription, scenario.mqtt))
    yield "]"
    yield ""


def _subscription(group: MqttGroup) -> str:
    decoder = "value" if group.form == "value" else "json"
    return f"  {{ topic = {quoted(group.topic)}, decoder = {quoted(decoder)} }},"


def bracketed(host: str) -> str:
    """Return a host as it stands in an address."""
    return f"[{host}]" if ":" in host else host


def quoted(text: str) -> str:
    """Return a TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

r"""The scenario file: which devices there are, where, and what goes wrong with them.

    seed = 7                           # everything random follows from it; default 1
    duration = "60s"                   # default: until stopped
    day = "24h"                        # length of a simulated day; shorter runs the world faster
    start_hour = 8                     # hour of the day at the start

    [broker]                           # needed by [[mqtt]]
    url = "mqtt://127.0.0.1:1883"      # mqtt://[user:password@]host[:port]

    [[serial]]
    name = "mast"                      # with count above 1: mast-1, mast-2, ...
    count = 1
    link = "mast"                      # symbolic link in --directory; with count: mast-1, ...
    listen = "127.0.0.1:4001"          # a TCP port instead; without count
    device = "text"                    # or any other file of simulators/devices that has a `make`
    variant = ""                       # which model or version of it
    variants = ["sdm120@1", "s8@2"]    # of "modbus": several on one bus, named mast-1, mast-2, ...
    echo = false                       # the bus repeats what the gateway says
    form = "json"                      # of "text": json, keyvalue, colon, csv_header, csv, number
    baudrate = 9600
    interval = "1s"
    jitter = "0s"                      # up to so much later, by chance
    readings = 100                     # default: no end
    sequence = false                   # a field `sequence` that counts 1, 2, 3, ...
    climate = "outdoor"                # default for serial; indoor is the default for mqtt
    location = "roof"                  # who shares one shares its air; default: the name
    quantities = { temperature = "tempC", humidity = "hum" }   # the product's own names
    newline = "\r\n"
    separator = ","                    # between fields; default: " " for keyvalue, else ","
    header_every = 20                  # rows from one CSV header to the next
    when_closed = "wait"               # or "lose": what is sent while nobody reads is lost
    settle = "200ms"                   # from the opening of the port to the first byte, with "wait"
    faults = { garbage = 0.01, split = 0.1, unplug = "30s", boot = true }

    [[mqtt]]
    name = "room"
    count = 12
    topic = "sensors/{location}/{device}/state"    # {field} too, for form "value"
    form = "json"                      # json, nested, value
    qos = 1
    retain = false
    interval = "1s"                    # jitter, readings, sequence, climate, faults as above
    locations = ["kitchen", "office"]  # dealt out in turn
    quantities = { temperature = { name = "temp", unit = "°C" } }   # unit: form "value" only

Faults are shares of the readings (garbage, babble, drop, flip, latin1, duplicate, delay, burst;
serial only: split, merge) or happen about every so often (silence; serial only: unplug): "30s", or
{ every = "30s", lasts = "2s" }. Boot is a start-up message. Strings may contain ${VARIABLE} from
the environment.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from simulators.checked import Table
from simulators.devices import Quantity, Responder, make_product, serial_devices
from simulators.devices.mqtt_json import nest
from simulators.devices.text import Form, Style
from simulators.faults import NEVER, SERIAL_ONLY, Fault, Faults, Outage
from simulators.mqtt import Address
from simulators.pty import Line, WhenClosed
from simulators.script import Plan
from simulators.world import DAY_S, QUANTITIES, Climate

COUNT_MAX = 100_000
BAUDRATE_MAX = 4_000_000
PORT_MAX = 65_535
OUTAGE_LASTS_S = {Fault.UNPLUG: 1.0, Fault.SILENCE: 5.0}
MQTT_FORMS = ("json", "nested", "value")
PLACEHOLDER = re.compile(r"\{([^}]*)\}")
DEFAULT_QUANTITIES = (Quantity("temperature", "temperature"), Quantity("humidity", "humidity"))


class ScenarioError(Exception):
    """The scenario is wrong; the message lists every mistake."""


@dataclass(frozen=True, slots=True)
class Group:
    """What serial and MQTT devices have in common."""

    name: str
    count: int
    quantities: tuple[Quantity, ...]
    sequence: bool
    climate: Climate
    plan: Plan

    def names(self) -> list[str]:
        """Return the names of the devices."""
        return (
            [self.name]
            if self.count == 1
            else [f"{self.name}-{index + 1}" for index in range(self.count)]
        )


@dataclass(frozen=True, slots=True)
class SerialGroup(Group):
    """Equal devices, each on its own port."""

    device: str
    variant: str
    variants: tuple[str, ...]
    """Several devices on one line."""
    echo: bool
    link: Path
    listen: tuple[str, int] | None
    """A TCP port instead of the link."""
    location: str
    style: Style
    line: Line

    def members(self, name: str) -> list[str]:
        """Return the names of the devices on one of its lines."""
        return [f"{name}-{index + 1}" for index in range(len(self.variants))]

    def links(self) -> list[Path]:
        """Return the paths of the ports."""
        if self.count == 1:
            return [self.link]
        return [self.link.with_name(f"{self.link.name}-{index + 1}") for index in range(self.count)]


@dataclass(frozen=True, slots=True)
class MqttGroup(Group):
    """Equal devices on the broker."""

    topic: str
    form: str
    qos: int
    retain: bool
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file."""

    seed: int
    duration_s: float | None
    day_s: float
    start_hour: int
    broker_url: str
    serial: tuple[SerialGroup, ...]
    mqtt: tuple[MqttGroup, ...]


def load(path: Path, *, directory: Path, broker_url: str = "") -> Scenario:
    """Read a scenario file; `broker_url` takes the place of the one in the file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: {error}"
        raise ScenarioError(msg) from error
    try:
        return parse(content, directory=directory, broker_url=broker_url)
    except ScenarioError as error:
        msg = f"{path}:\n{error}"
        raise ScenarioError(msg) from error


def parse(content: dict[str, object], *, directory: Path, broker_url: str = "") -> Scenario:
    """Check a document; raise with the list of all mistakes if there are any."""
    errors: list[str] = []
    top = Table(content, "", errors)
    broker = top.table("broker")
    scenario = Scenario(
        seed=top.whole("seed", 1),
        duration_s=top.seconds("duration", 0.0) if top.has("duration") else None,
        day_s=top.seconds("day", DAY_S, positive=True),
        start_hour=top.whole("start_hour", 8, high=23),
        serial=tuple(_serial(table, directory) for table in top.tables("serial")),
        mqtt=tuple(_mqtt(table) for table in top.tables("mqtt")),
        broker_url=_broker(broker, broker_url, needed=top.has("mqtt")),
    )
    broker.close()
    top.raw("duration")
    top.close()
    groups: tuple[Group, ...] = (*scenario.serial, *scenario.mqtt)
    if not groups:
        errors.append("no devices: add [[serial]] or [[mqtt]]")
    errors += [
        f"name {name!r}: used more than once"
        for name in _twice(name for each in groups for name in each.names())
    ]
    links = (str(link) for each in scenario.serial for link in each.links())
    errors += [f"link {link!r}: used more than once" for link in _twice(links)]
    if errors:
        raise ScenarioError("\n".join(f"  {error}" for error in errors))
    return scenario


def _twice(words: Iterable[str]) -> list[str]:
    return [word for word, times in Counter(words).items() if times > 1]


def _broker(table: Table, override: str, *, needed: bool) -> str:
    url = override or table.text("url", None if needed else "")
    table.raw("url")
    if url:
        try:
            Address.parse(url)
        except ValueError as error:
            table.wrong("url", f"found {url!r}, {error}")
    return url


def _serial(table: Table, directory: Path) -> SerialGroup:
    name, count = table.text("name"), table.whole("count", 1, low=1, high=COUNT_MAX)
    group = SerialGroup(
        name=name,
        count=count,
        quantities=_quantities(table, units=False),
        sequence=table.flag("sequence"),
        climate=Climate(table.text("climate", Climate.OUTDOOR, Climate)),
        plan=_plan(table, serial=True),
        device=table.text("device", "text", serial_devices()),
        variant=table.text("variant", ""),
        variants=table.texts("variants", ()),
        echo=table.flag("echo"),
        link=directory / table.text("link", name or "device"),
        listen=_listen(table, count),
        location=table.text("location", name or "device"),
        style=Style(
            form=Form(table.text("form", Form.JSON, Form)),
            newline=table.text("newline", "\r\n"),
            separator=table.text("separator", ""),
            header_every=table.whole("header_every", 20, low=1),
        ),
        line=Line(
            baudrate=table.whole("baudrate", 9600, low=50, high=BAUDRATE_MAX),
            when_closed=WhenClosed(table.text("when_closed", WhenClosed.WAIT, WhenClosed)),
            settle_s=table.seconds("settle", 0.2),
        ),
    )
    table.close()
    _check_variants(table, group)
    if group.style.form is Form.NUMBER and (len(group.quantities) != 1 or group.sequence):
        table.wrong("form", "'number' has room for exactly one quantity, and not for the sequence")
    if not group.style.newline.endswith("\n") or group.style.newline.strip("\r\n"):
        table.wrong("newline", f"found {group.style.newline!r}, expected \\n or \\r\\n")
    return group


def _check_variants(table: Table, group: SerialGroup) -> None:
    """Make one of each, for only the products know their variants."""
    made = []
    for variant in group.variants or (group.variant,) * (group.device != "text"):
        try:
            made.append(make_product(group.device, "", lambda _quantity, _t: 0.0, variant))
        except (ValueError, AttributeError) as error:
            table.wrong("variants" if group.variants else "variant", str(error))
    if group.variants and not all(isinstance(device, Responder) for device in made):
        table.wrong("variants", "only devices that are asked can share a line")


def _listen(table: Table, count: int) -> tuple[str, int] | None:
    text = table.text("listen", "")
    host, _, port = text.rpartition(":")
    if not text:
        return None
    if not (host and port.isdecimal() and 0 < int(port) <= PORT_MAX):
        table.wrong("listen", f"found {text!r}, expected host:port")
        return None
    if count > 1:
        table.wrong("listen", "one device only, and count is above 1")
    return host.strip("[]"), int(port)


def _mqtt(table: Table) -> MqttGroup:
    name = table.text("name")
    group = MqttGroup(
        name=name,
        count=table.whole("count", 1, low=1, high=COUNT_MAX),
        quantities=_quantities(table, units=True),
        sequence=table.flag("sequence"),
        climate=Climate(table.text("climate", Climate.INDOOR, Climate)),
        plan=_plan(table, serial=False),
        topic=table.text("topic"),
        form=table.text("form", "json", MQTT_FORMS),
        qos=table.whole("qos", 1, high=2),
        retain=table.flag("retain"),
        locations=table.texts("locations", (name or "device",)),
    )
    table.close()
    _check_topic(table, group)
    return group


def _check_topic(table: Table, group: MqttGroup) -> None:
    found = PLACEHOLDER.findall(group.topic)
    for name in found:
        if name not in {"location", "device", "field"}:
            table.wrong("topic", f"found {{{name}}}, allowed: {{location}}, {{device}}, {{field}}")
    if group.topic and (set(group.topic) & {"+", "#"} or group.topic.startswith("/")):
        table.wrong(
            "topic", f"found {group.topic!r}, wildcards and a leading slash are not allowed"
        )
    if group.count > 1 and "device" not in found:
        table.wrong("topic", "needs {device}, because count is above 1")
    fields = len(group.quantities) + group.sequence
    if group.form == "value" and fields > 1 and "field" not in found:
        table.wrong("topic", "needs {field}, because form 'value' publishes several fields")
    if group.form != "value" and "field" in found:
        table.wrong("topic", "{field} belongs to form 'value'")
    if group.form == "nested":
        try:
            nest({each.name: 0.0 for each in group.quantities})
        except ValueError as error:
            table.wrong("quantities", str(error))
    if group.form != "value" and any(each.unit for each in group.quantities):
        table.wrong("quantities", "units belong to form 'value'")


def _plan(table: Table, *, serial: bool) -> Plan:
    return Plan(
        interval_s=table.seconds("interval", 1.0, positive=True),
        jitter_s=table.seconds("jitter", 0.0),
        readings=table.integer("readings", None),
        faults=_faults(table.table("faults"), serial=serial),
        serial=serial,
    )


def _faults(table: Table, *, serial: bool) -> Faults:
    faults = Faults(
        garbage=table.share(Fault.GARBAGE),
        babble=table.share(Fault.BABBLE),
        split=table.share(Fault.SPLIT),
        merge=table.share(Fault.MERGE),
        drop=table.share(Fault.DROP),
        flip=table.share(Fault.FLIP),
        latin1=table.share(Fault.LATIN1),
        duplicate=table.share(Fault.DUPLICATE),
        delay=table.share(Fault.DELAY),
        burst=table.share(Fault.BURST),
        silence=_outage(table, Fault.SILENCE),
        unplug=_outage(table, Fault.UNPLUG),
        boot=table.flag(Fault.BOOT),
    )
    table.close()
    for key in table.names:
        if not serial and key in SERIAL_ONLY:
            table.wrong(key, "only a serial device can have this fault")
    return faults


def _outage(table: Table, fault: Fault) -> Outage:
    lasts_s = OUTAGE_LASTS_S[fault]
    if not table.has(fault):
        return NEVER
    if isinstance(table.raw(fault), dict):
        inner = table.table(fault)
        outage = Outage(
            inner.seconds("every", 30.0, positive=True),
            inner.seconds("lasts", lasts_s, positive=True),
        )
        inner.close()
        return outage
    return Outage(table.seconds(fault, 30.0, positive=True), lasts_s)


def _quantities(table: Table, *, units: bool) -> tuple[Quantity, ...]:
    if not table.has("quantities"):
        return DEFAULT_QUANTITIES
    inner = table.table("quantities")
    chosen = []
    for key in inner.names:
        if key not in QUANTITIES:
            continue
        if isinstance(inner.raw(key), dict):
            details = inner.table(key)
            chosen.append(Quantity(key, details.text("name", key), details.text("unit", "")))
            details.close()
        else:
            chosen.append(Quantity(key, inner.text(key)))
    for key in QUANTITIES:
        inner.raw(key)
    inner.close()
    if not chosen:
        table.wrong("quantities", "expected at least one")
    if not units and any(each.unit for each in chosen):
        table.wrong("quantities", "units belong to [[mqtt]] with form 'value'")
    names = [each.name for each in chosen]
    if len(set(names)) < len(names) or "sequence" in names:
        table.wrong("quantities", "each name may be used once, and 'sequence' is taken")
    return tuple(chosen)

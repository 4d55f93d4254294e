"""What no single key shows: keys that exclude or need each other, duplicates, decoders, warnings.

The checks read the document and not the models, and pass over what has the wrong type: so they
find their problems also where a model could not be built for another reason.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from itertools import combinations
from os.path import realpath
from typing import Final
from urllib.parse import urlsplit

from gateway.asking import Asker
from gateway.config.models import Config
from gateway.config.ports import Way, way_of
from gateway.config.problems import Problem, dotted, missing_key, unknown_key
from gateway.config.schema import Loc, keys_at
from gateway.config.sources import Mqtt
from gateway.decoders import decoders, set_up
from gateway.errors import ConfigError
from gateway.model import Device
from gateway.nearest import did_you_mean
from gateway.topics import TopicPattern

Table = Mapping[str, object]

_VERSIONS: Final = {
    "org": (2,),
    "bucket": (2,),
    "database": (1, 3),
    "retention_policy": (1,),
    "token": (2, 3),
    "token_file": (2, 3),
    "username": (1,),
    "password": (1,),
    "password_file": (1,),
}
_REQUIRED: Final = {1: ("database",), 2: ("org", "bucket", "token"), 3: ("database",)}
_INSTEAD: Final = {
    "bucket": "database",
    "database": "bucket",
    "token": "password",
    "token_file": "password_file",
    "password": "token",
    "password_file": "token_file",
}
_LINES: Final = (Way.SERIAL, Way.RFC2217)
_LINE_KEYS: Final = ("baudrate", "bytesize", "parity", "stopbits", "dtr", "rts")
"""What is said of a serial line; elsewhere somebody else sets it, or there is none."""
_PATH_AND_WORDS: Final = re.compile(r"([A-Za-z_]\w*(?:\.\w+|\[\d{1,9}\])*): (.*)", re.DOTALL)
_STEP: Final = re.compile(r"\w+")
_TLS_KEYS: Final = ("ca_file", "cert_file", "key_file")


def check(document: Table, devices: Mapping[str, Device]) -> Iterator[Problem]:
    """Every problem between keys."""
    influxdb = document.get("influxdb")
    if isinstance(influxdb, dict):
        yield from _influxdb(influxdb)
    yield from _unique_names(document)
    yield from _unique_ports(document)
    for loc, entry in _entries(document, "serial"):
        yield from _decoder(loc, entry, devices, stream=True)
        yield from _line(loc, entry, devices.get(_text(entry, "decoder")))
    for loc, entry in _entries(document, "mqtt"):
        yield from _credentials(loc, entry)
        yield from _tls(loc, entry)
        yield from _subscriptions(loc, entry, devices)


def _entries(table: Table, key: str, loc: Loc = ()) -> Iterator[tuple[Loc, Table]]:
    entries = table.get(key)
    if isinstance(entries, list):
        for index, entry in enumerate(entries):
            if isinstance(entry, dict):
                yield (*loc, key, index), entry


def _text(table: Table, key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _influxdb(table: Table) -> Iterator[Problem]:
    loc = ("influxdb",)
    yield from _credentials(loc, table)
    version = table.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version not in _REQUIRED:
        return
    for key, versions in _VERSIONS.items():
        if key in table and version not in versions:
            yield Problem((*loc, key), _wrong_version(key, version), found=False)
    for key in _REQUIRED[version]:
        if key not in table and f"{key}_file" not in table:
            yield missing_key((*loc, key), f", and InfluxDB {version} needs it")


def _wrong_version(key: str, version: int) -> str:
    """The key that serves the same purpose there is named, where there is one."""
    instead = _INSTEAD.get(key)
    owners = " and ".join(str(owner) for owner in _VERSIONS[key])
    hint = f'; did you mean "{instead}"?' if instead and version in _VERSIONS[instead] else ""
    return f"belongs to InfluxDB {owners}, and version is {version}{hint}"


def _credentials(loc: Loc, table: Table) -> Iterator[Problem]:
    for key in ("token", "password"):
        if key in table and f"{key}_file" in table:
            yield Problem((*loc, f"{key}_file"), f"give {key} or {key}_file, not both", found=False)
    for key in ("password", "password_file"):
        if key in table and "username" not in table:
            yield Problem((*loc, key), "needs username", found=False)


def _tls(loc: Loc, table: Table) -> Iterator[Problem]:
    if _text(table, "url").startswith("mqtt:"):
        for key in _TLS_KEYS:
            if key in table:
                yield Problem((*loc, key), "is for TLS: write mqtts:// in url", found=False)
    if "key_file" in table and "cert_file" not in table:
        yield Problem((*loc, "key_file"), "needs cert_file", found=False)


def _unique_names(document: Table) -> Iterator[Problem]:
    owners: dict[str, Loc] = {}
    for section in ("serial", "mqtt"):
        for loc, entry in _entries(document, section):
            name = _text(entry, "name")
            owner = owners.setdefault(name, loc)
            if name and owner is not loc:
                words = f"{dotted(owner)} has this name already"
                yield Problem((*loc, "name"), words)


def _unique_ports(document: Table) -> Iterator[Problem]:
    owners: dict[str, Loc] = {}
    for loc, entry in _entries(document, "serial"):
        port = _text(entry, "port")
        is_path = way_of(port) is Way.SERIAL and not port.startswith("usb:")
        same = realpath(port.replace("\0", "")) if is_path else port.casefold()
        owner = owners.setdefault(same, loc)
        if port and owner is not loc:
            words = f"{dotted(owner)} is this port already"
            yield Problem((*loc, "port"), words)


def _line(loc: Loc, entry: Table, device: Device | None) -> Iterator[Problem]:
    """The way in is given once, and what is said of the line has a meaning there."""
    if "port" in entry and "command" in entry:
        yield Problem((*loc, "command"), "give port or command, not both", found=False)
        return
    if "port" not in entry and "command" not in entry:
        yield missing_key((*loc, "port"), ", and there is no command")
        return
    way = way_of(_text(entry, "port") if "port" in entry else None)
    if way not in _LINES:
        for key in _LINE_KEYS:
            if key in entry:
                yield Problem((*loc, key), f"has no meaning for {way}", found=False)
    elif entry.get("baudrate") == "auto" and device is not None and not device.baudrates:
        yield Problem((*loc, "baudrate"), _no_proof(device))
    if way is Way.STDIN and device is not None and _asks(device, entry):
        yield Problem((*loc, "port"), f"{device.name} asks its devices: nobody would hear it there")


def _no_proof(device: Device) -> str:
    return (
        "allowed: the rate of the device; at a wrong one bytes come too, and there is nothing in "
        f"what {device.name} reads, such as a checksum, that proves the right one"
    )


def _asks(device: Device, entry: Table) -> bool:
    given = {key: value for key, value in entry.items() if key in device.options}
    try:
        return isinstance(set_up(device, given)[0], Asker)
    except ConfigError:
        return False  # said by `_options`


def _subscriptions(loc: Loc, broker: Table, devices: Mapping[str, Device]) -> Iterator[Problem]:
    owners: dict[str, Loc] = {}
    for where, entry in _entries(broker, "subscribe", loc):
        yield from _decoder(where, entry, devices, stream=False)
        topic_filter = _topic_filter(_text(entry, "topic"))
        if topic_filter and owners.setdefault(topic_filter, where) is not where:
            words = f"subscribe[{owners[topic_filter][-1]}] subscribes to the same topics"
            yield Problem((*where, "topic"), words)


def _topic_filter(topic: str) -> str:
    try:
        return TopicPattern.parse(topic).filter
    except ValueError:
        return ""


def _decoder(
    loc: Loc, entry: Table, devices: Mapping[str, Device], *, stream: bool
) -> Iterator[Problem]:
    """The decoder exists, can read this kind of source, and takes the options given."""
    usable = {name: device for name, device in devices.items() if device.framer or not stream}
    known = keys_at(loc)
    options = {key: value for key, value in entry.items() if key not in known}
    name = _text(entry, "decoder")
    device = usable.get(name)
    if device is not None:
        yield from _options(loc, device, options, known)
    elif name in devices:
        words = f"takes MQTT messages only; on a serial port: {', '.join(usable)}"
        yield Problem((*loc, "decoder"), words)
    elif name:
        yield Problem((*loc, "decoder"), f"no such decoder{did_you_mean(name, usable)}")
    if device is None:
        every = frozenset().union(*(device.options for device in devices.values()))
        for key in options:
            if key not in every:
                yield unknown_key((*loc, key), [*known, *sorted(every)])


def _options(
    loc: Loc, device: Device, options: Mapping[str, object], known: list[str]
) -> Iterator[Problem]:
    for key in options:
        if key not in device.options:
            yield unknown_key((*loc, key), [*known, *sorted(device.options)])
    given = {key: value for key, value in options.items() if key in device.options}
    try:
        set_up(device, given)
    except ConfigError as error:
        for sentence in error.problems:
            where, words = _located(sentence, given)
            yield Problem((*loc, *where), f"the decoder says: {words}")


def _located(sentence: str, given: Mapping[str, object]) -> tuple[Loc, str]:
    """The key that the sentence begins with, `values[0].type: ...`, and its words."""
    match = _PATH_AND_WORDS.fullmatch(sentence)
    if match is not None:
        steps = [int(s) if s.isdecimal() else s for s in _STEP.findall(match[1])]
        if steps[0] in given:
            return tuple(steps), match[2]
    return _somewhere(given), sentence


def _somewhere(given: Mapping[str, object]) -> Loc:
    return (next(iter(given)) if len(given) == 1 else "decoder",)


def warnings(config: Config) -> list[str]:
    """What works and may not be meant, in words for the operator."""
    found = [*decoders(config.gateway.decoders).problems]
    if not config.serial and not config.mqtt:
        found.append("no [[serial]] and no [[mqtt]]: there is nothing to read")
    listen = config.console.listen
    if listen is not None and not _is_loopback(listen[0]):
        found.append(
            "console.listen: everybody who reaches this machine can see the readings; "
            '"127.0.0.1:9280" keeps them here'
        )
    influxdb = config.influxdb
    if influxdb is not None and (influxdb.secret_token() or influxdb.secret_password()):
        found += _clear_text("influxdb.url", influxdb.url, "https")
    for index, broker in enumerate(config.mqtt):
        if broker.secret_password():
            found += _clear_text(f'mqtt[{index}] "{broker.name}": url', broker.url, "mqtts")
        found += _overlaps(f'mqtt[{index}] "{broker.name}": subscribe', broker)
    return found


def _overlaps(path: str, broker: Mqtt) -> Iterator[str]:
    """What lies within another subscription is not asked for and does no harm."""
    patterns = [TopicPattern.parse(subscription.topic) for subscription in broker.subscribe]
    asked = [one for one in patterns if not any(o.covers(one) for o in patterns if o is not one)]
    for one, two in combinations(asked, 2):
        if one.overlaps(two):
            yield (
                f'{path}: some topics match both "{one.text}" and "{two.text}": over MQTT 5 a '
                "broker may send such a message twice, once for each, and both become readings; "
                "write one pattern that covers both"
            )


def _clear_text(path: str, address: str, safe: str) -> Iterator[str]:
    url = urlsplit(address)
    if url.scheme != safe and not _is_loopback(url.hostname or ""):
        yield f"{path}: the secret crosses the network in clear text; {safe}:// protects it"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

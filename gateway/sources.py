"""From a configuration entry to a running source: transport, framer, decoder, normalizer, intake.

A part of the composition root: here `Config` ends, and plain values go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.catalogue import Catalogue
from gateway.clock import now_ns
from gateway.committer import Committer
from gateway.config.models import Config
from gateway.config.sources import FieldRule as FieldSettings
from gateway.config.sources import Mqtt, Serial
from gateway.config.sources import Subscription as SubscriptionSettings
from gateway.devices import devices
from gateway.errors import ConfigError
from gateway.intake import MqttIntake, Pipeline, SerialIntake, Subscription
from gateway.ledger import Account, Ledger
from gateway.normalize import FieldRule, Normalizer
from gateway.series import SeriesRegistry
from gateway.topics import Router, TopicPattern
from gateway.transports import mqtt as transport
from gateway.transports.mqtt import BrokerSettings, MqttState, MqttTransport, TlsSettings
from gateway.transports.serial import PortSettings, SerialTransport


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sources share."""

    config: Config
    ledger: Ledger
    catalogue: Catalogue
    registry: SeriesRegistry
    committer: Committer[Any]


@dataclass(frozen=True, slots=True)
class Source:
    """One port or broker: `run` is one connection's life, again and again."""

    account: Account
    run: Callable[[], Awaitable[None]]
    allowed: asyncio.Event
    """While it is not set the source stays away."""
    problems: Callable[[], Sequence[str]] = tuple
    """What is wrong though it is connected."""


def serial_source(entry: Serial, parts: Parts) -> Source:
    """A port; it is never kept away, for nobody would keep its bytes."""
    device = devices()[entry.decoder]
    if device.framer is None:
        raise ConfigError([f"{entry.name}: decoder {device.name} takes messages, not bytes"])
    account = parts.ledger.account(entry.name, "serial")
    normalizer = _normalizer(
        account, parts, entry.tags, entry.fields, entry.measurement, device=entry.name
    )
    intake = SerialIntake(
        account,
        parts.ledger,
        device.framer(),
        Pipeline(account, parts.ledger, device.decoder(**entry.options()), normalizer),
        parts.committer,
        now_ns,
    )
    port = SerialTransport(port_settings(entry))
    always = asyncio.Event()
    always.set()
    return Source(account, lambda: port.run(intake.opened, intake.receive), always)


def mqtt_source(
    entry: Mqtt, parts: Parts, state: MqttState, session: str, seen: list[tuple[int, bytes]]
) -> Source:
    """A broker; it stays away while there is no room, and the broker keeps what comes."""
    account = parts.ledger.account(entry.name, "mqtt")
    routes = [
        (TopicPattern.parse(wanted.topic), _subscription(entry, wanted, account, parts))
        for wanted in entry.subscribe
    ]
    intake = MqttIntake(
        account,
        parts.ledger,
        Router(routes),
        parts.committer,
        now_ns,
        session=session,
        seen=seen,
        window=entry.broker_window,
    )
    parts.committer.on_block.append(intake.leave)
    broker = MqttTransport(entry.name, broker_settings(entry, session), state)
    return Source(
        account,
        lambda: broker.run(intake.opened, intake.receive),
        parts.committer.accepting,
        intake.problems,
    )


def port_settings(entry: Serial) -> PortSettings:
    return PortSettings(
        port=entry.port,
        baudrate=entry.baudrate,
        bytesize=entry.bytesize,
        parity=entry.parity,
        stopbits=entry.stopbits,
        dtr=entry.dtr,
        rts=entry.rts,
        silence_timeout_s=entry.silence_timeout or None,
    )


def broker_settings(entry: Mqtt, client_id: str) -> BrokerSettings:
    host, port = entry.address()
    files = (
        str(file) if file else None for file in (entry.ca_file, entry.cert_file, entry.key_file)
    )
    tls = TlsSettings(*files) if entry.tls() else None
    return BrokerSettings(
        host=host,
        port=port,
        client_id=client_id,
        subscriptions=_asked_for(entry),
        tls=tls,
        username=entry.username,
        password=entry.secret_password(),
        protocol=entry.protocol,
        keepalive_s=round(entry.keepalive),
        max_unacknowledged_messages=entry.max_unacknowledged,
    )


def _asked_for(entry: Mqtt) -> list[transport.Subscription]:
    """What to ask of the broker: of a topic in two subscriptions it may send each message twice.

    So one that lies within another is not asked for; the router still tells them apart.
    """
    patterns = [(TopicPattern.parse(wanted.topic), wanted) for wanted in entry.subscribe]
    asked = []
    for pattern, _ in patterns:
        if any(o.covers(pattern) and not pattern.covers(o) for o, _ in patterns):
            continue
        within = [wanted for other, wanted in patterns if pattern.covers(other)]
        qos = max(map(entry.qos_of, within))
        retained = any(map(entry.takes_retained, within))
        asked.append(transport.Subscription(pattern.filter, qos, retained))
    return asked


def _subscription(
    entry: Mqtt, wanted: SubscriptionSettings, account: Account, parts: Parts
) -> Subscription:
    decoder = devices()[wanted.decoder].decoder(**wanted.options())
    normalizer = _normalizer(account, parts, wanted.tags, wanted.fields, wanted.measurement)
    return Subscription(
        Pipeline(account, parts.ledger, decoder, normalizer), retained=entry.takes_retained(wanted)
    )


def _normalizer(
    account: Account,
    parts: Parts,
    tags: Mapping[str, str],
    rules: Mapping[str, FieldSettings],
    measurement: str | None,
    *,
    device: str = "",
) -> Normalizer:
    return Normalizer(
        account=account,
        ledger=parts.ledger,
        catalogue=parts.catalogue,
        registry=parts.registry,
        device=device,
        measurement=measurement or "",
        tags={**parts.config.gateway.tags, **tags},
        rules={
            raw: FieldRule(
                quantity=rule.quantity,
                unit=rule.unit,
                scale=rule.scale,
                offset=rule.offset,
                low=rule.min,
                high=rule.max,
                rename=rule.rename,
                drop=rule.drop,
            )
            for raw, rule in rules.items()
        },
    )

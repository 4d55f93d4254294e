"""From a configuration entry to a running source: transport, framer, decoder, normalizer, intake.

A part of the composition root: here `Config` ends, and plain values go on.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from gateway.admission import WhenFull
from gateway.asking import Asker, Write
from gateway.autobaud import Autobaud
from gateway.baudrates import BaudrateSearch
from gateway.catalogue import Catalogue
from gateway.committer import Committer
from gateway.config.models import Config
from gateway.config.sources import FieldRule as FieldSettings
from gateway.config.sources import Mqtt, Serial
from gateway.config.sources import Subscription as SubscriptionSettings
from gateway.decoders import decoders, set_up
from gateway.edges import Edges
from gateway.errors import ConfigError
from gateway.intake import MqttIntake, StreamIntake, Subscription
from gateway.ledger import Account, Ledger
from gateway.model import Device
from gateway.normalize import FieldRule, Normalizer
from gateway.pipeline import Pipeline
from gateway.polling import Poller, Port
from gateway.ports import at_rates, character_s
from gateway.series import SeriesRegistry
from gateway.topics import Router, TopicPattern


@dataclass(frozen=True, slots=True)
class Parts:
    """What all sources share."""

    config: Config
    edges: Edges
    ledger: Ledger
    catalogue: Catalogue
    registry: SeriesRegistry
    committer: Committer[Any]

    def device(self, decoder: str) -> Device:
        return decoders(self.config.gateway.decoders).devices[decoder]


@dataclass(frozen=True, slots=True)
class Source:
    """One port or broker: `run` is one connection's life, again and again."""

    account: Account
    run: Callable[[], Awaitable[None]]
    ready: Callable[[], Awaitable[None]]
    """Until it returns the source stays away."""
    problems: Callable[[], Sequence[str]] = tuple
    """What is wrong though it is connected."""


def serial_source(entry: Serial, parts: Parts) -> Source:
    """A port; it is never kept away, for nobody would keep its bytes."""
    device = parts.device(entry.decoder)
    decoder, framer = set_up(device, entry.options())
    if framer is None:
        raise ConfigError([f"{entry.name}: decoder {device.name} takes messages, not bytes"])
    account = parts.ledger.account(entry.name, "serial")
    normalizer = _normalizer(
        account, parts, entry.tags, entry.fields, entry.measurement, device=entry.name
    )
    intake = StreamIntake(
        account,
        parts.ledger,
        framer,
        Pipeline(account, parts.ledger, decoder, normalizer),
        parts.committer,
        parts.edges.clock,
        when_full=WhenFull(parts.config.spool.when_full.serial),
    )
    entries = at_rates(entry, device)
    likely = next(iter(entries.values()))
    poller = (
        Poller(account, decoder, intake.flush, character_s=character_s(likely))
        if isinstance(decoder, Asker)
        else None
    )

    def listen(port: Port, at: Serial) -> Awaitable[None]:
        """One opening of the port, whose rate is known."""
        if poller is None:
            return _listen(port, intake)
        poller.character_s = character_s(at)
        return _ask(port, intake, poller)

    asked_problems = poller.problems if poller is not None else tuple
    if entry.baudrate != "auto":
        run = partial(listen, parts.edges.port(likely), likely)
        return Source(account, run, _at_once, asked_problems)
    autobaud = Autobaud(
        account,
        BaudrateSearch(list(entries)),
        {rate: parts.edges.port(at) for rate, at in entries.items()},
        lambda port, rate: listen(port, entries[rate]),
    )
    return Source(
        account, autobaud.run, _at_once, lambda: [*autobaud.problems(), *asked_problems()]
    )


async def _listen(port: Port, intake: StreamIntake) -> NoReturn:
    """One opening of a port whose device speaks by itself."""
    try:
        await port.run(lambda _write: intake.opened(), intake.receive)
    finally:
        intake.flush()


async def _ask(port: Port, intake: StreamIntake, poller: Poller) -> None:
    """One opening of a port whose devices are asked. Raises what ends it."""

    def receive(data: bytes) -> None:
        intake.receive(data)
        poller.received()

    def opened(write: Write) -> None:
        intake.opened()
        group.create_task(poller.run(write), name="poller")

    try:
        async with asyncio.TaskGroup() as group:
            await port.run(opened, receive)
    except ExceptionGroup as ended:
        raise ended.exceptions[0] from None
    finally:
        intake.flush()


async def _at_once() -> None:
    """A serial port never stays away."""


def mqtt_source(entry: Mqtt, parts: Parts, session: str, seen: list[tuple[int, bytes]]) -> Source:
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
        parts.edges.clock,
        session=session,
        seen=seen,
        window=entry.broker_window,
        when_full=WhenFull(parts.config.spool.when_full.mqtt),
    )
    broker = parts.edges.broker(entry, session)
    return Source(
        account,
        lambda: broker.run(intake.opened, intake.receive),
        intake.ready,
        intake.problems,
    )


def _subscription(
    entry: Mqtt, wanted: SubscriptionSettings, account: Account, parts: Parts
) -> Subscription:
    decoder, _ = set_up(parts.device(wanted.decoder), wanted.options())
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

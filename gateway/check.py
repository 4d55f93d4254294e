"""`sensor-gateway check`: what a configuration would do here, before it does it.

`check_config` looks at this machine only. `check_connections` tries everything at once, each within
CHECK_S, and disturbs nothing: a port that the running gateway holds is not touched, a broker meets
a session of its own that ends with the check, InfluxDB gets a point in a measurement of its own.
Limits: whether the gateway holds a port can be told on Linux only.
"""

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gateway.clock import now_ns
from gateway.config import warnings
from gateway.config.models import Config, InfluxDB
from gateway.config.sources import Mqtt, Serial
from gateway.decoders import decoders
from gateway.edges import SPOOL_FILE
from gateway.errors import GatewayError, StoreError, TransportError
from gateway.model import (
    Deferred,
    Delivered,
    Device,
    Halted,
    Observation,
    Receipt,
    Refused,
    TimeSource,
    TooLarge,
)
from gateway.ports import at_rates, make_port
from gateway.settings import broker_settings, influx_target
from gateway.sinks.influxdb import InfluxSink
from gateway.sinks.line_protocol import encode, make_series
from gateway.spool.lock import holder
from gateway.transports.mqtt import (
    BrokerSettings,
    Connection,
    Message,
    MqttState,
    MqttTransport,
    Subscription,
)
from gateway.transports.serial_ports import open_file_limit_problem

CHECK_S = 10.0
STEP_S = 4.0
"""For the steps of a broker: its address, the connection, its answer; more specific words then."""

DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
DROPPED_S = 2.0
"""Brokers that count keep the count as a retained message."""

MEASUREMENT = "sensor_gateway_check"

Echo = Callable[[str], None]


def check_config(config: Config) -> list[str]:
    """What works and may not be meant, in words."""
    port_problem = open_file_limit_problem(len(config.serial))
    return [
        *warnings(config),
        *_not_kept(config),
        *([port_problem] if port_problem else []),
        *_data_dir_problems(config),
        *_small_disk(config),
    ]


async def check_connections(config: Config, echo: Echo) -> int:
    """Try everything and report each result as it comes; returns how many failed."""
    directory = Path(config.gateway.data_dir)
    try:
        running = holder(directory)
    except StoreError:
        running = None  # reported by `_check_data_dir`
    known = decoders(config.gateway.decoders).devices
    checks = {
        "data directory": _check_data_dir(config, running),
        **{
            f'serial "{entry.name}"': _check_port(entry, known[entry.decoder], running)
            for entry in config.serial
        },
        **{f'mqtt "{entry.name}"': _check_broker(entry) for entry in config.mqtt},
    }
    if config.influxdb is not None:
        checks["InfluxDB"] = _check_influxdb(config.influxdb, config.gateway.name)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_report(what, check, echo)) for what, check in checks.items()]
    return sum(not task.result() for task in tasks)


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"


class Finding(NamedTuple):
    """What one check has to say."""

    verdict: Verdict
    words: str


Check = Coroutine[None, None, list[Finding]]


async def _report(what: str, check: Check, echo: Echo) -> bool:
    """Whether nothing failed."""
    try:
        async with asyncio.timeout(CHECK_S):
            findings = await check
    except TimeoutError:
        findings = [Finding(Verdict.FAILED, f"no answer within {CHECK_S:g} s")]
    except GatewayError as error:
        findings = [Finding(Verdict.FAILED, str(error))]
    for verdict, words in findings:
        echo(f"{verdict:<7} {what}: {words}")
    return all(finding.verdict is not Verdict.FAILED for finding in findings)


def _not_kept(config: Config) -> Iterator[str]:
    for index, entry in enumerate(config.mqtt):
        topics = [wanted.topic for wanted in entry.subscribe if entry.qos_of(wanted) == 0]
        if topics:
            yield (
                f'mqtt[{index}] "{entry.name}": QoS 0 for {", ".join(topics)}: what is published '
                "while the gateway is away or busy is lost; qos = 1 keeps it"
            )


async def _check_data_dir(config: Config, running: int | None) -> list[Finding]:
    directory = Path(config.gateway.data_dir)
    problems = _data_dir_problems(config)
    if problems:
        return [Finding(Verdict.FAILED, problem) for problem in problems]
    free = _size(shutil.disk_usage(_existing(directory)).free)
    user = f", in use by the gateway (process {running})" if running else ""
    return [Finding(Verdict.OK, f"{directory}: {free} free{user}")]


def _data_dir_problems(config: Config) -> list[str]:
    """What keeps the gateway from storing anything, or as much as it is allowed to."""
    directory = Path(config.gateway.data_dir)
    existing = _existing(directory)
    if not existing.is_dir():
        return [f"{existing}: is no directory"]
    if not os.access(existing, os.R_OK | os.W_OK | os.X_OK):
        return [f"{existing}: may not be written by this user: is it the gateway's own?"]
    problems = [
        f"{path}: may not be written by this user: was the gateway started by another?"
        for path in (directory.iterdir() if directory.is_dir() else ())
        if path.is_file() and not os.access(path, os.R_OK | os.W_OK)
    ]
    spool = config.spool
    free = shutil.disk_usage(existing).free
    if free <= spool.min_free:
        problems.append(
            f"{existing}: only {_size(free)} free: nothing is taken in below "
            f"spool.min_free = {_size(spool.min_free)}"
        )
    return problems


def _small_disk(config: Config) -> Iterator[str]:
    """The archive has no limit but the disk."""
    if config.influxdb is None:
        return
    directory = Path(config.gateway.data_dir)
    spool = directory / SPOOL_FILE
    room = shutil.disk_usage(_existing(directory)).free - config.spool.min_free
    room += spool.stat().st_size if os.access(spool, os.R_OK) else 0
    if config.spool.max_bytes > room:
        yield (
            f"spool.max_bytes: {_size(config.spool.max_bytes)} are allowed, but the disk of "
            f"{directory} has room for {_size(max(room, 0))}: a longer outage of InfluxDB fills it"
        )


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that exists."""
    return next(place for place in (path, *path.parents) if os.access(place, os.F_OK))


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


async def _check_port(entry: Serial, device: Device, running: int | None) -> list[Finding]:
    likely, *_ = at_rates(entry, device).values()
    port = make_port(likely)
    if running is not None and await port.is_held_by(running):
        words = f"{entry.port}: in use by the gateway (process {running})"
        return [Finding(Verdict.OK, words)]
    return [Finding(Verdict.OK, await port.probe())]


async def _check_broker(entry: Mqtt) -> list[Finding]:
    client_id = f"{entry.name}-check-{secrets.token_hex(4)}"
    settings = _guest_settings(broker_settings(entry, client_id))
    try:
        async with _visit(settings) as guest:
            connection = await guest.connection
            await connection.subscribed.wait()
    except TransportError as error:
        hint = (
            f'; tried as "{client_id}" so as not to disturb "{entry.client_id}": does the broker '
            "know that one only?"
        )
        raise TransportError(f"{error}{hint if entry.client_id else ''}") from error
    findings = [Finding(Verdict.FAILED, problem) for problem in connection.problems]
    if not findings:
        topics = ", ".join(wanted.topic for wanted in entry.subscribe)
        where = f"{settings.host}:{settings.port}"
        findings.append(Finding(Verdict.OK, f"{where} lets us subscribe to {topics}"))
    dropped = await _dropped_messages(settings)
    if dropped:
        words = (
            f"the broker has dropped {dropped} messages, for any of its clients, since it started: "
            "mosquitto keeps 1,000 for one that is away, unless mosquitto.conf says "
            "max_queued_messages 0"
        )
        findings.append(Finding(Verdict.WARNING, words))
    return findings


def _guest_settings(settings: BrokerSettings) -> BrokerSettings:
    """The same for a session that the broker forgets at once.

    Of a shared subscription we would get messages that are meant for the gateway, so it is tried
    with a group of our own.
    """
    group = f"$share/check-{secrets.token_hex(4)}/"
    subscriptions = [
        wanted._replace(filter=re.sub(r"\A\$share/[^/]+/", group, wanted.filter))
        for wanted in settings.subscriptions
    ]
    return replace(
        settings, subscriptions=subscriptions, session_expiry_s=0, connect_timeout_s=STEP_S
    )


async def _dropped_messages(settings: BrokerSettings) -> int:
    """What the broker says it dropped; 0 where it says nothing, or does not let us ask."""
    asking = replace(settings, subscriptions=[Subscription(DROPPED_TOPIC, 0, retained=True)])
    try:
        async with asyncio.timeout(DROPPED_S), _visit(asking) as guest:
            message = await guest.message
    except (TimeoutError, TransportError):
        return 0
    return int(message.payload) if message.payload.isdigit() else 0


class _Guest:
    """A short stay at a broker: its beginning, and the first message."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.connection: asyncio.Future[Connection] = loop.create_future()
        self.message: asyncio.Future[Message] = loop.create_future()

    def opened(self, connection: Connection) -> None:
        self.connection.set_result(connection)
        connection.subscribe()

    def receive(self, connection: Connection, message: Message) -> None:
        if message.qos:
            connection.acknowledge([message.identifier])
        if not self.message.done():
            self.message.set_result(message)


@asynccontextmanager
async def _visit(settings: BrokerSettings) -> AsyncIterator[_Guest]:
    """Connected, or about to be, within the block. Raises TransportError."""
    guest = _Guest()
    problems: list[TransportError] = []
    with TemporaryDirectory() as folder:
        transport = MqttTransport("check", settings, MqttState(Path(folder)))
        try:
            async with asyncio.TaskGroup() as group:
                stay = group.create_task(transport.run(guest.opened, guest.receive))
                yield guest
                stay.cancel()
        except* TransportError as ended:
            problems += [error for error in ended.exceptions if isinstance(error, TransportError)]
    if problems:
        raise problems[0]


async def _check_influxdb(settings: InfluxDB, gateway: str) -> list[Finding]:
    target = influx_target(settings)
    target = replace(target, timeout_s=min(target.timeout_s, 0.9 * CHECK_S))
    now = now_ns()
    point = Observation(
        make_series(MEASUREMENT, {"gateway": gateway}), {"ok": 1.0}, now, now, TimeSource.ARRIVAL
    )
    async with InfluxSink(target, now_ns) as sink, asyncio.TaskGroup() as group:
        version = group.create_task(_server_version(sink))
        receipt = group.create_task(sink.write([encode(point)]))
    return _judge(settings, version.result(), receipt.result())


async def _server_version(sink: InfluxSink) -> str:
    """Empty where it does not say: whether it is there at all, the write finds out."""
    try:
        return await sink.ping()
    except TransportError:
        return ""


def _judge(settings: InfluxDB, version: str, receipt: Receipt) -> list[Finding]:
    answered = f"{settings.url} answers as InfluxDB {version}" if version else settings.url
    generation = re.match(r"v?(\d+)\.", version)
    mismatch = (
        f"{answered}, but influxdb.version is {settings.version}"
        if generation and int(generation[1]) != settings.version
        else ""
    )
    match receipt:
        case Delivered():
            where = settings.bucket or settings.database
            words = f'{answered}; a test point is in {MEASUREMENT} of "{where}"'
            findings = [Finding(Verdict.OK, words)]
        case Deferred(problem) | Halted(problem) | TooLarge(problem):
            place = "" if settings.url in problem else f"{settings.url}: "
            findings = [Finding(Verdict.FAILED, f"{place}{problem}")]
        case Refused(status, message):
            words = f"{settings.url}: HTTP {status}: {message}"
            findings = [Finding(Verdict.FAILED, words)]
    if mismatch:
        findings.append(Finding(Verdict.WARNING, mismatch))
    return findings

"""A seed becomes a plan: a configuration, devices, and everything that will go wrong.

Three families: a *day* of 24 hours with quiet devices and long outages; a *storm*, one hour in
which as much goes wrong as on a bad day; *amnesia*, ten minutes with a broker that forgets our
session again and again while the disk is slow, so that identifiers start anew and meet old ones.
The rates are such that a day costs about a second of computing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random

from gateway.config.models import Config
from gateway.config.values import Context
from simulators.broker import WINDOW
from simulators.seeds import generator
from tests.simulation.database import Trouble
from tests.simulation.world import Moment

DAY_S = 86_400.0
MIB = 2**20


class Family(StrEnum):
    """Kinds of scenarios."""

    DAY = "day"
    STORM = "storm"
    AMNESIA = "amnesia"


LENGTHS_S = {Family.DAY: DAY_S, Family.STORM: 3_600.0, Family.AMNESIA: 600.0}


class Kind(StrEnum):
    """What can go wrong."""

    CUT = "connections to {where} cut"
    REFUSE = "{where} refuses connections"
    RESTART_BROKER = "{where} restarts"
    CRASH_BROKER = "{where} is killed and set back to what it had saved"
    LOSE_SESSIONS = "{where} is killed and knows nothing any more"
    STALL = "the network before {where} is slow"
    BACKLOG = "{where} gets a burst of messages"
    UNPLUG = "{where} is unplugged"
    DISK_FULL = "the disk is full"
    DISK_FAILS = "the disk cannot be read or written"
    DISK_SLOW = "the disk takes seconds"
    DISK_TAKEN = "other files take the disk, down to less than min_free"
    DATABASE = "InfluxDB {where}"
    CLOCK = "the clock steps"
    KILL = "kill -9 of the gateway"
    KILL_AT = "kill -9 of the gateway while {where}"
    POWER = "a power cut; then the clock is wrong for a while"
    RESTART = "the gateway restarts with another configuration"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    at_s: float
    kind: Kind
    where: str = ""
    lasts_s: float = 0.0
    amount: float = 0.0
    delay_s: float = 0.0
    """Until a time server answers."""

    def __str__(self) -> str:
        words = self.kind.format(where=self.where)
        return f"{self.at_s:10.1f} s  {words}, {self.lasts_s:.1f} s, {self.amount:g}"


class Says(StrEnum):
    """What a device says."""

    STATE = "state"  # JSON with a number, zeros and false among the values
    STAMPED = "stamped"  # likewise, with a time of its own
    VALUE = "value"  # a bare number
    SWITCH = "switch"  # the same bytes again and again
    FLEETING = "fleeting"  # like STATE, at QoS 0
    POISON = "poison"  # what InfluxDB will never take
    BROKEN = "broken"  # no JSON
    NOTHING = "nothing"  # JSON without a value
    OLD = "old"  # retained
    LINE = "line"  # a line on a serial port


@dataclass(frozen=True, slots=True)
class Device:
    """One device, at a broker or a port."""

    name: str
    says: Says
    where: str
    pause_s: float
    burst_max: int
    again: float
    """The share of messages that it publishes twice."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """All that is drawn before anything happens."""

    seed: int
    length_s: float
    version: int
    commit_interval_s: float
    flush_interval_s: float
    batch_bytes: int
    max_bytes: int
    protocol: str
    max_unacknowledged: int
    when_full: tuple[str, str]
    """Of brokers and of ports."""
    max_age_s: float
    clock_wait_s: float
    drain: str
    disk_delay_s: float
    first_identifier: int
    leaky: bool
    autosave_s: float
    brokers: tuple[str, ...]
    ports: tuple[str, ...]
    devices: tuple[Device, ...]
    faults: tuple[Fault, ...] = field(default=(), repr=False)

    def config(self, run: int) -> Config:
        """The configuration of the gateway's run of this number."""
        config = Config.model_validate(self._document(run), context=Context(Path("/"), Path("/")))
        spool = config.spool.model_copy(update={"max_bytes": self.max_bytes})
        return config.model_copy(update={"spool": spool})  # smaller than a user may ask for

    def _document(self, run: int) -> dict[str, object]:
        rng = generator(self.seed, "configuration", str(run))
        return {
            "gateway": {
                "name": "simulated",
                "data_dir": "/nowhere",
                "clock_wait": _ms(self.clock_wait_s),
            },
            "spool": {
                "commit_interval": _ms(self.commit_interval_s * rng.choice((1, 1, 0.5))),
                "min_free": "1MiB",
                "max_age": _ms(self.max_age_s),
                "when_full": dict(zip(("mqtt", "serial"), self.when_full, strict=True)),
            },
            "influxdb": {
                "version": self.version,
                "url": "http://influxdb.invalid:8086",
                "flush_interval": _ms(self.flush_interval_s),
                "batch_bytes": f"{self.batch_bytes * rng.choice((1, 2, 5))}B",
                "timeout": "10s",
                "drain": self.drain,
                **_place(self.version),
            },
            "console": {"listen": ""},
            "mqtt": [self._broker(name) for name in self.brokers],
            "serial": [
                {"name": name, "port": f"/dev/{name}", "decoder": "text"} for name in self.ports
            ],
        }

    def _broker(self, name: str) -> dict[str, object]:
        return {
            "name": name,
            "url": f"mqtt://{name}.invalid",
            "max_unacknowledged": self.max_unacknowledged,
            "protocol": self.protocol,
            "subscribe": [
                {"topic": "say/{device}", "decoder": "json"},
                {"topic": "value/{device}/{field}", "decoder": "value"},
                {"topic": "poison/{device}", "decoder": "json", "measurement": "poison"},
            ],
        }


def draw(seed: int, family: Family = Family.DAY) -> Scenario:
    """The plan that belongs to a seed."""
    rng = generator(seed, "scenario", family)
    length_s = LENGTHS_S[family]
    hasty = family is not Family.DAY
    brokers = ("attic", "barn")[: rng.choice((1, 1, 2))]
    ports = ("mast", "pump")[: rng.choice((0, 1, 2))]
    set_back = family is not Family.AMNESIA and rng.random() < 0.5
    protocol = rng.choice(("5", "3.1.1"))
    if family is Family.AMNESIA:
        devices, faults = _forgotten(rng, length_s, brokers)
    else:
        faults = tuple(_faults(rng, length_s, brokers, ports, set_back=set_back))
        repeats = not set_back and not _forgets_and_dies(faults)
        devices = tuple(_devices(rng, length_s, brokers, ports, repeats=repeats))
    return Scenario(
        seed=seed,
        length_s=length_s,
        version=rng.choice((1, 2, 3)),
        commit_interval_s=rng.choice((0.2, 1.0, 5.0) if hasty else (1.0, 10.0, 60.0)),
        flush_interval_s=rng.choice((0.5, 1.0, 10.0) if hasty else (1.0, 30.0, 120.0)),
        batch_bytes=rng.choice((1_000, 4_000, 20_000)),
        max_bytes=rng.choice((60_000, 300_000, 64 * MIB)),
        protocol=protocol,
        max_unacknowledged=rng.choice((15 if protocol == "5" else WINDOW, 50, 5_000)),
        when_full=(
            rng.choice(("block", "block", "drop_newest", "drop_oldest")),
            rng.choice(("drop_newest", "drop_oldest")),
        ),
        max_age_s=rng.choice((0.0, 0.0, length_s / 20)),
        clock_wait_s=rng.choice((60.0, 600.0)),
        drain=rng.choice(("oldest_first", "newest_first")),
        disk_delay_s=rng.choice((0.001, 0.01, 0.1)),
        first_identifier=rng.choice((0, 65_500, rng.randrange(65_536))),
        leaky=rng.random() < 0.5,
        autosave_s=length_s / rng.choice((3, 20, 100)),
        brokers=brokers,
        ports=ports,
        devices=devices,
        faults=faults,
    )


def _forgotten(
    rng: Random, length_s: float, brokers: tuple[str, ...]
) -> tuple[tuple[Device, ...], tuple[Fault, ...]]:
    """A broker forgets; new messages come with old numbers, and meet a disk that is slow."""
    kills = rng.random() < 0.5
    devices = tuple(
        Device(f"{broker}-{says}", says, broker, length_s / 30, 3, 0.0)
        for broker in brokers
        for says in (Says.VALUE if kills else Says.SWITCH, Says.STATE, Says.BROKEN)
    )
    faults = []
    at_s = 0.0
    while (at_s := at_s + rng.uniform(5.0, 30.0)) < length_s - 30.0:
        where = rng.choice(brokers)
        faults += [
            Fault(at_s, Kind.DISK_SLOW, "", 10.0, rng.uniform(0.5, 4.0)),
            Fault(at_s + rng.uniform(0.0, 1.0), Kind.BACKLOG, where, 0.0, rng.randint(5, 30)),
            Fault(at_s + rng.uniform(0.0, 3.0), Kind.LOSE_SESSIONS, where),
            Fault(at_s + rng.uniform(0.0, 5.0), Kind.BACKLOG, where, 0.0, rng.randint(5, 30)),
            Fault(at_s + rng.uniform(1.0, 8.0), rng.choice((Kind.CUT, Kind.LOSE_SESSIONS)), where),
        ]
        if kills and rng.random() < 0.2:
            faults.append(Fault(at_s + rng.uniform(0.0, 8.0), Kind.KILL))
    return devices, tuple(sorted(faults, key=lambda fault: fault.at_s))


def _forgets_and_dies(faults: Iterable[Fault]) -> bool:
    """Whether a broker loses our session, and the gateway may die before it has noted that.

    Then a message that says what an older one with its number said is taken for that one: a known
    gap, see `docs/simulators.md`.
    """
    kinds = {fault.kind for fault in faults}
    return Kind.LOSE_SESSIONS in kinds and not kinds.isdisjoint(
        {Kind.KILL, Kind.KILL_AT, Kind.POWER}
    )


def _devices(
    rng: Random, length_s: float, brokers: Iterable[str], ports: Iterable[str], *, repeats: bool
) -> Iterable[Device]:
    """`repeats`: there may be devices that say the same bytes again and again."""
    kinds = [s for s in Says if s is not Says.LINE and (repeats or s is not Says.SWITCH)]
    for broker in brokers:
        for number in range(rng.randint(3, 6)):
            says = Says.STATE if number == 0 else rng.choice(kinds)
            rare = says is Says.POISON  # each costs a dozen requests
            pause_s = length_s / (30 if rare else rng.choice((40, 100, 250)))
            burst_max = 2 if rare else rng.choice((1, 5, 20))
            again = rng.choice((0.0, 0.1)) if repeats else 0.0
            yield Device(f"{broker}-{says}-{number}", says, broker, pause_s, burst_max, again)
    for port in ports:
        yield Device(port, Says.LINE, port, length_s / rng.choice((100, 300)), 3, 0.0)


def _faults(
    rng: Random,
    length_s: float,
    brokers: tuple[str, ...],
    ports: tuple[str, ...],
    *,
    set_back: bool,
) -> Iterable[Fault]:
    """From a few to several dozen, at any time, of any length that leaves something to see."""
    long_s = length_s / 8
    short_s = min(60.0, length_s / 30)
    makers: list[Callable[[float], Fault]] = [
        lambda at_s: Fault(at_s, Kind.CUT, rng.choice(brokers)),
        lambda at_s: Fault(at_s, Kind.REFUSE, rng.choice(brokers), rng.uniform(0, long_s)),
        lambda at_s: Fault(at_s, Kind.RESTART_BROKER, rng.choice(brokers), rng.uniform(0, short_s)),
        lambda at_s: Fault(
            at_s,
            Kind.CRASH_BROKER if set_back else Kind.LOSE_SESSIONS,
            rng.choice(brokers),
            rng.choice((0.0, rng.uniform(0, short_s))),
        ),
        lambda at_s: Fault(
            at_s, Kind.STALL, rng.choice(brokers), rng.uniform(0, short_s), rng.uniform(0.1, 10)
        ),
        lambda at_s: Fault(at_s, Kind.BACKLOG, rng.choice(brokers), 0.0, rng.randint(20, 400)),
        lambda at_s: Fault(at_s, Kind.DISK_FULL, "", rng.uniform(0, short_s * 4)),
        lambda at_s: Fault(at_s, Kind.DISK_FAILS, "", rng.uniform(0, short_s)),
        lambda at_s: Fault(at_s, Kind.DISK_SLOW, "", rng.uniform(0, short_s), rng.uniform(0.5, 8)),
        lambda at_s: Fault(at_s, Kind.DISK_TAKEN, "", rng.uniform(0, long_s)),
        lambda at_s: _database(rng, at_s, long_s, short_s),
        lambda at_s: _database(rng, at_s, long_s, short_s),
        lambda at_s: Fault(at_s, Kind.CLOCK, "", 0.0, _step(rng)),
        lambda at_s: Fault(at_s, Kind.KILL, "", rng.uniform(0, short_s)),
        lambda at_s: Fault(
            at_s, Kind.KILL_AT, rng.choice(list(Moment)), rng.choice((0.0, rng.uniform(0, short_s)))
        ),
        lambda at_s: Fault(
            at_s,
            Kind.POWER,
            "",
            rng.uniform(1.0, short_s),
            rng.choice((-600 * DAY_S, -40 * DAY_S, -3_600.0, -10.0, 0.0)) * rng.random(),
            rng.choice((5.0, 300.0, 3_000.0)) * rng.random(),
        ),
        lambda at_s: Fault(at_s, Kind.RESTART, "", rng.uniform(0, short_s)),
    ]
    if ports:
        makers.append(
            lambda at_s: Fault(at_s, Kind.UNPLUG, rng.choice(ports), rng.uniform(0, short_s))
        )
    chosen = rng.sample(makers, rng.randint(2, len(makers)))
    times = sorted(rng.uniform(0.0, length_s) for _ in range(rng.choice((3, 12, 40))))
    for at_s in times:
        yield rng.choice(chosen)(at_s)


def _database(rng: Random, at_s: float, long_s: float, short_s: float) -> Fault:
    """Away for hours, or in one of many smaller kinds of trouble."""
    trouble = rng.choice([Trouble.AWAY, *(t for t in Trouble if t is not Trouble.NONE)])
    longest_s = long_s if trouble in (Trouble.AWAY, Trouble.HANGS) else 4 * short_s
    share = rng.choice((0.3, 1.0))
    return Fault(at_s, Kind.DATABASE, trouble, rng.uniform(0, longest_s), share)


def _step(rng: Random) -> float:
    return rng.choice((-1, 1)) * rng.choice((0.0001, 0.01, 1.0, 100.0, 3600.0)) * rng.random()


def _ms(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms"


def _place(version: int) -> dict[str, str]:
    if version == 2:
        return {"org": "home", "bucket": "sensors", "token": "secret"}
    return {"database": "sensors"}

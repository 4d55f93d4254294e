"""What a device published beside what the database has, and what the wire says of the differences.

A reading that the gateway acknowledged is in the database, or the gateway has lost it. One that it
never acknowledged while the broker had is the broker's loss. A reading is there twice by the
gateway's fault unless it was handed over twice in a way that nobody can recognize: a repetition can
be recognized where it is marked as duplicate and has the identifier that the reading had before,
which is remembered for MESSAGES_REMEMBERED messages.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.integration.influxd import Influxd
from tests.integration.rig import DATABASE
from tests.load.publisher import device, reading
from tests.load.tap import Delivery
from tests.load.wire import DEVICES

MESSAGES_REMEMBERED = 32_768
SHOWN = 5


class Point(NamedTuple):
    """A reading in the database."""

    at_ns: int
    fields: Mapping[str, float]


Points = Mapping[int, Sequence[Point]]


@dataclass(frozen=True, slots=True)
class Published:
    """What a device knows."""

    numbers: range
    acknowledged: Collection[int]
    """By the broker."""
    again: Mapping[int, int]
    """How often it had to publish a reading anew."""


@dataclass(slots=True)
class Findings:
    """Lists of numbers; the first four are faults of the gateway, and empty."""

    lost: list[int] = field(default_factory=list)
    """Acknowledged by the gateway, and not in the database."""
    twice: list[int] = field(default_factory=list)
    """More often than it can be excused for."""
    altered: list[int] = field(default_factory=list)
    made_up: list[int] = field(default_factory=list)
    not_handed_over: list[int] = field(default_factory=list)
    """Acknowledged by the broker, and never seen on the wire to the gateway."""
    not_acknowledged: list[int] = field(default_factory=list)
    """Handed over, and the broker was gone before it was acknowledged: it has forgotten it."""
    published_twice: list[int] = field(default_factory=list)
    """There twice: the device published it anew, and the broker took it for another message."""
    handed_over_twice: list[int] = field(default_factory=list)
    """There twice: the broker handed it over anew as if it were new."""
    unmarked: int = 0
    """Of these, readings that came back with their old identifier, but not marked as duplicates."""
    recognized: int = 0
    """Readings that were on disk when they came again, and did not become two points."""

    @property
    def gone(self) -> list[int]:
        """Acknowledged by the broker and not in the database, by whomever's fault."""
        return sorted({*self.lost, *self.not_handed_over, *self.not_acknowledged})

    @property
    def stored_twice(self) -> list[int]:
        """There twice, for whatever reason."""
        return sorted([*self.twice, *self.published_twice, *self.handed_over_twice])

    def faults(self) -> list[str]:
        """What the gateway did wrong, in words."""
        faults = {
            "lost": self.lost,
            "twice": self.twice,
            "altered": self.altered,
            "made up": self.made_up,
        }
        return [
            f"{len(numbers)} {what}: {numbers[:SHOWN]}"
            for what, numbers in faults.items()
            if numbers
        ]


def read_points(server: Influxd) -> Points:
    """Every numbered point; by device, for one answer would be long."""
    points: defaultdict[int, list[Point]] = defaultdict(list)
    for name in {device(number) for number in range(DEVICES)}:
        query = f"""SELECT * FROM "sensor" WHERE "device" = '{name}'"""  # noqa: S608 -- our names
        for row in server.query(query, DATABASE):
            fields = {key: float(str(row[key])) for key in reading(0)}
            number = int(fields["sequence"])
            whose = number if device(number) == name else -1 - number
            points[whose].append(Point(int(str(row["time"])), fields))
    return points


def compare(
    published: Published,
    deliveries: Sequence[Delivery],
    acknowledged: Collection[int],
    points: Points,
) -> Findings:
    """What became of every reading of `published.numbers`; `acknowledged` by the gateway."""
    ways: defaultdict[int, list[int]] = defaultdict(list)
    for index, delivery in enumerate(deliveries):
        ways[delivery.number].append(index)
    found = Findings(made_up=[n for n in points if n < 0 or n >= published.numbers.stop])
    for number in published.numbers:
        stored = points.get(number, ())
        if not stored:
            _blame(found, number, published, ways[number], acknowledged)
            continue
        if any(point.fields != reading(number) for point in stored):
            found.altered.append(number)
        if len(stored) > _excused(deliveries, ways[number]):
            found.twice.append(number)
        elif len(stored) > 1:
            anew = published.again.get(number)
            (found.published_twice if anew else found.handed_over_twice).append(number)
            names = {deliveries[index].identifier for index in ways[number]}
            found.unmarked += not anew and len(names) < len(ways[number])
        last = deliveries[ways[number][-1]]
        if last.at_ns > stored[-1].at_ns and number in acknowledged:
            found.recognized += 1
    return found


def _blame(
    found: Findings,
    number: int,
    published: Published,
    ways: Sequence[int],
    acknowledged: Collection[int],
) -> None:
    """Nothing of the reading is in the database."""
    if number in acknowledged:
        found.lost.append(number)
    elif number in published.acknowledged:
        (found.not_acknowledged if ways else found.not_handed_over).append(number)


def _excused(deliveries: Sequence[Delivery], ways: Sequence[int]) -> int:
    """How often a reading came that could not be recognized as one that had come."""
    came: dict[int, int] = {}
    count = 0
    for index in ways:
        delivery = deliveries[index]
        before = came.get(delivery.identifier)
        known = before is not None and index - before <= MESSAGES_REMEMBERED
        if not (delivery.duplicate and known):
            count += 1
            came[delivery.identifier] = index
    return count


def summarize(findings: Findings) -> dict[str, str]:
    """The rows of a report that say what the broker did."""
    counts = Counter(
        {
            "  never handed over": len(findings.not_handed_over),
            "  handed over, not acknowledged, forgotten": len(findings.not_acknowledged),
            "twice: published anew by the device": len(findings.published_twice),
            "twice: handed over anew by the broker": len(findings.handed_over_twice),
            "  of these with the old identifier, unmarked": findings.unmarked,
        }
    )
    return {name: f"{count}" for name, count in counts.items()}

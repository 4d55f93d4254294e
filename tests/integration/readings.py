"""What the software devices sent beside what the database has: each reading exactly once.

A reading is known by its device and its number (`sequence`), which both sides keep.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.console.status import Status
from tests.integration.influxd import Influxd

Key = tuple[str, int]
Fields = Mapping[str, float]

NAMES = {"tempC": "temperature", "hum": "humidity", "co2": "carbon_dioxide"}
"""The field that becomes of a product's own name, where that is another."""

COMPLAINTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Sent:
    """What must arrive, how often, and what may."""

    whole: dict[Key, Fields]
    copies: dict[Key, int]
    damaged: set[Key]


def read_record(path: Path) -> Sent:
    """Read what the simulators recorded."""
    sent = Sent({}, {}, set())
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            key = (entry["device"], entry["sequence"])
            if entry.get("damaged"):
                sent.damaged.add(key)
                continue
            sent.whole[key] = {
                NAMES.get(name, name): float(value) for name, value in entry["values"].items()
            }
            sent.copies[key] = entry.get("copies", 1)
    return sent


def count_stored(server: Influxd, database: str) -> int:
    """How many numbered readings the database has."""
    rows = server.query('SELECT count("sequence") FROM "sensor"', database)
    return int(str(rows[0]["count"])) if rows else 0


def read_stored(server: Influxd, database: str) -> dict[Key, list[dict[str, object]]]:
    """Every numbered point, by device and number."""
    stored: defaultdict[Key, list[dict[str, object]]] = defaultdict(list)
    query = 'SELECT * FROM "sensor" WHERE "sequence" > -1'
    for row in server.query(query, database):
        stored[str(row["device"]), int(float(str(row["sequence"])))].append(row)
    return stored


def differences(
    sent: Sent, stored: Mapping[Key, list[dict[str, object]]], *, excused: Collection[Key] = ()
) -> list[str]:
    """What is missing, doubled, changed or made up, in words; none: each is there once."""
    found = []
    for key, fields in sent.whole.items():
        rows = stored.get(key, [])
        if len(rows) != sent.copies[key] and key not in excused:
            found.append(f"{key}: sent {sent.copies[key]} times, stored {len(rows)} times")
        for row in rows:
            kept = {name: row.get(name) for name in fields}
            if kept != fields:
                found.append(f"{key}: sent {dict(fields)}, stored {kept}")
    made_up = set(stored) - set(sent.whole) - sent.damaged
    found += [f"{key}: stored, but never sent" for key in made_up]
    more = [f"and {len(found) - COMPLAINTS_MAX} more"] if len(found) > COMPLAINTS_MAX else []
    return found[:COMPLAINTS_MAX] + more


def first_readings(sent: Sent, prefixes: Iterable[str]) -> set[Key]:
    """The first reading of each device whose name begins so."""
    firsts: dict[str, int] = {}
    wanted = tuple(prefixes)
    for device, number in (*sent.whole, *sent.damaged):
        if device.startswith(wanted):
            firsts[device] = min(number, firsts.get(device, number))
    return set(firsts.items())


def losses(status: Status) -> Counter[tuple[str, str]]:
    """What did not go on, by stage and reason, over all sources."""
    counts: Counter[tuple[str, str]] = Counter()
    for loss in status["ledger"]["losses"]:
        counts[loss["stage"], loss["reason"]] += loss["count"]
    return counts

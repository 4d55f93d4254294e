"""One look at the running gateway, as plain data: what `/api/status` says, and what it is made of.

Strategy: nothing is kept for the console; a look reads the ledger and the series where they are,
on the event loop, so that its numbers belong together. Limits: DEVICES_MAX devices of FIELDS_MAX
fields, TEXT_MAX characters of a text; what is left out is counted.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from gateway import __version__
from gateway.clock import SystemClock
from gateway.delivery import Delivery, State
from gateway.ledger import EQUATIONS, LINES_CAME, LINES_WENT, Account, Latency, Ledger
from gateway.model import FieldValue
from gateway.series import SeriesHistory
from gateway.spool.letters import LetterCounts
from gateway.spool.store import Spool
from gateway.times import is_since_boot

if TYPE_CHECKING:
    from gateway.app import Gateway

DEVICES_MAX = 500
FIELDS_MAX = 50
TEXT_MAX = 200
STORE_ANSWER_S = 1.0
"""The store's thread may be busy for so long; then its counts are at rest anyway."""

Units = Mapping[tuple[str, str], str]


class Health(TypedDict):
    """`failing`: readings are lost or stuck. `degraded`: some do not come, or have to wait.

    Dead letters degrade it until somebody deals with them.
    """

    status: Literal["ok", "degraded", "failing"]
    problems: list[str]


class SourceStatus(TypedDict):
    """A port or a broker."""

    kind: str
    connected: bool
    detail: str
    """What was found out about the way there, in words."""
    problem: str
    last_frame: str | None
    commit_p99_s: float | None
    """From arrival to commit."""
    commit_buckets: list[tuple[float, int]]
    """As in `LatencyStatus`."""
    counts: dict[str, int]


class LossStatus(TypedDict):
    """What ended at one stage for one reason."""

    source: str
    stage: str
    reason: str
    count: int
    example: str
    at: str | None


class EquationStatus(TypedDict):
    """What came and where it went, over all sources."""

    name: str
    came: dict[str, int]
    went: dict[str, int]
    balanced: bool


class LedgerStatus(TypedDict):
    """Where every byte and every observation is."""

    balanced: bool
    imbalances: list[str]
    equations: list[EquationStatus]
    sources: dict[str, SourceStatus]
    losses: list[LossStatus]
    lines: dict[str, int]


class DeliveryStatus(TypedDict):
    """The way to InfluxDB."""

    state: str
    problem: str
    delivered_lines: int
    last_delivered: str | None


class StoreStatus(TypedDict):
    """What is on disk."""

    kind: Literal["spool", "archive"]
    path: str
    pending_lines: int
    held_lines: int
    """Of these, those that wait for the clock to be trusted."""
    pending_bytes: int
    dead_letters: int
    """Kept; they wait for somebody."""
    dead_letter_bytes: int
    has_room: bool
    problem: str


class LatencyStatus(TypedDict):
    """From arrival to commit."""

    count: int
    p50_s: float | None
    p99_s: float | None
    buckets: list[tuple[float, int]]
    """Upper edges in seconds and counts, of buckets that hold any: two looks make a period."""


class FieldStatus(TypedDict):
    """The last value of a field."""

    value: FieldValue
    unit: str
    """A UCUM code; empty where none is known."""
    age_s: float


class DeviceStatus(TypedDict):
    """A series: one device, as a measurement and its tags tell it from others."""

    measurement: str
    device: str
    tags: dict[str, str]
    """The other tags."""
    count: int
    time: str | None
    age_s: float
    fields: dict[str, FieldStatus]
    fields_more: int


class ProcessStatus(TypedDict):
    """What the gateway takes; None where the system does not say."""

    rss_bytes: int | None
    cpu_s: float
    open_files: int | None


class Status(TypedDict):
    """Everything. Times are ISO 8601 in UTC; none is known before the clock is trusted."""

    name: str
    version: str
    time: str | None
    started: str | None
    uptime_s: float
    health: Health
    ledger: LedgerStatus
    delivery: DeliveryStatus | None
    """None: the archive is the store itself."""
    store: StoreStatus
    commit_latency: LatencyStatus
    devices: list[DeviceStatus]
    devices_more: int
    process: ProcessStatus


async def imbalances(gateway: "Gateway") -> list[str]:
    """What does not add up, in words, whatever is under way.

    The store's counts move in its own thread, an instant before the committer books them on the
    event loop. So a difference is looked at again: a call through the same thread comes back after
    that booking, with the counts as of the call.
    """
    if not gateway.imbalances():
        return []
    try:
        async with asyncio.timeout(STORE_ANSWER_S):
            totals = await gateway.worker.call(gateway.store.totals)
    except TimeoutError:
        return gateway.imbalances()
    return gateway.ledger.imbalances(totals)


def health(gateway: "Gateway", wrong: Sequence[str]) -> Health:
    """Whether all is well; `wrong` is what `imbalances` found."""
    problems = [*gateway.problems(), *(f"ledger: {words}" for words in wrong)]
    if kept := _letters(gateway.store).kept:
        problems.append(
            f"InfluxDB: {kept} lines refused for good are kept: sensor-gateway dead-letters list"
        )
    halted = gateway.delivery is not None and gateway.delivery.state is State.HALTED
    if wrong or gateway.committer.problem or halted:
        return {"status": "failing", "problems": problems}
    return {"status": "degraded" if problems else "ok", "problems": problems}


def status(gateway: "Gateway", wrong: Sequence[str]) -> Status:
    """The whole look; `wrong` is what `imbalances` found."""
    clock = gateway.clock
    histories = gateway.registry.histories()
    shown = sorted(histories[:DEVICES_MAX], key=lambda history: history.series.prefix)
    units = gateway.catalogue.units
    return {
        "name": gateway.config.gateway.name,
        "version": __version__,
        "time": iso_time(clock()),
        "started": iso_time(clock.resolve(gateway.started_ns)),
        "uptime_s": _age_s(gateway.started_ns, clock),
        "health": health(gateway, wrong),
        "ledger": _ledger(gateway, wrong),
        "delivery": None if gateway.delivery is None else _delivery(gateway.delivery, clock),
        "store": _store(gateway),
        "commit_latency": _latency(gateway.ledger.commit_latency),
        "devices": [_device(history, units, clock) for history in shown],
        "devices_more": len(histories) - len(shown),
        "process": _process(),
    }


def iso_time(time_ns: int) -> str | None:
    """ISO 8601 in UTC, to the millisecond; None for what is no date, as 0, which is never."""
    if is_since_boot(time_ns):
        return None
    time = datetime.fromtimestamp(time_ns / 1e9, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ledger(gateway: "Gateway", wrong: Sequence[str]) -> LedgerStatus:
    ledger = gateway.ledger
    lines = ledger.lines(gateway.store.totals())
    return {
        "balanced": not wrong,
        "imbalances": list(wrong),
        "equations": [*_equations(ledger), _equation("lines", lines, LINES_CAME, LINES_WENT)],
        "sources": {
            account.source: _source(account, gateway.clock) for account in ledger.accounts.values()
        },
        "losses": [
            {
                "source": source,
                "stage": stage,
                "reason": reason,
                "count": loss.count,
                "example": loss.example,
                "at": iso_time(gateway.clock.resolve(loss.at_ns)),
            }
            for (source, stage, reason), loss in ledger.losses.items()
        ],
        "lines": lines,
    }


def _equations(ledger: Ledger) -> list[EquationStatus]:
    counts = [account.counts() for account in ledger.accounts.values()]
    sums = {
        counter: sum(count[counter] for count in counts)
        for total, parts in EQUATIONS.values()
        for counter in (total, *parts)
    }
    return [_equation(name, sums, (total,), parts) for name, (total, parts) in EQUATIONS.items()]


def _equation(
    name: str, counts: Mapping[str, int], came: Sequence[str], went: Sequence[str]
) -> EquationStatus:
    return {
        "name": name,
        "came": {counter: counts[counter] for counter in came},
        "went": {counter: counts[counter] for counter in went},
        "balanced": sum(counts[c] for c in came) == sum(counts[c] for c in went),
    }


def _source(account: Account, clock: SystemClock) -> SourceStatus:
    return {
        "kind": account.kind,
        "connected": account.connected,
        "detail": account.detail,
        "problem": account.problem,
        "last_frame": iso_time(clock.resolve(account.last_frame_ns)),
        "commit_p99_s": account.commit_latency.quantile_s(0.99),
        "commit_buckets": list(account.commit_latency.buckets()),
        "counts": account.counts(),
    }


def _delivery(delivery: Delivery, clock: SystemClock) -> DeliveryStatus:
    return {
        "state": delivery.state,
        "problem": delivery.problem,
        "delivered_lines": delivery.delivered_lines,
        "last_delivered": iso_time(clock.resolve(delivery.last_delivered_ns or 0)),
    }


def _store(gateway: "Gateway") -> StoreStatus:
    store = gateway.store
    return {
        "kind": "spool" if isinstance(store, Spool) else "archive",
        "path": str(store.path),
        "pending_lines": store.totals().pending,
        "held_lines": store.held(),
        "pending_bytes": store.pending_bytes() if isinstance(store, Spool) else 0,
        "dead_letters": _letters(store).kept,
        "dead_letter_bytes": _letters(store).kept_bytes,
        "has_room": gateway.committer.admission.has_room,
        "problem": gateway.committer.problem,
    }


def _letters(store: object) -> LetterCounts:
    return store.letter_counts() if isinstance(store, Spool) else LetterCounts(0, 0, 0, 0)


def _latency(latency: Latency) -> LatencyStatus:
    return {
        "count": latency.total,
        "p50_s": latency.quantile_s(0.5),
        "p99_s": latency.quantile_s(0.99),
        "buckets": list(latency.buckets()),
    }


def _device(history: SeriesHistory, units: Units, clock: SystemClock) -> DeviceStatus:
    measurement, pairs, _ = history.series
    tags = dict(pairs)
    last = history.last
    fields: dict[str, FieldStatus] = {
        name: {
            "value": _short(observation.fields[name]),
            "unit": units.get((measurement, name), ""),
            "age_s": _age_s(observation.received_at_ns, clock),
        }
        for name, observation in islice(history.latest.items(), FIELDS_MAX)
    }
    return {
        "measurement": measurement,
        "device": tags.pop("device", ""),
        "tags": tags,
        "count": history.count,
        "time": iso_time(clock.resolve(last.time_ns)) if last else None,
        "age_s": _age_s(last.received_at_ns, clock) if last else 0.0,
        "fields": fields,
        "fields_more": len(history.latest) - len(fields),
    }


def _short(value: FieldValue) -> FieldValue:
    return value[:TEXT_MAX] if isinstance(value, str) else value


def _age_s(then_ns: int, clock: SystemClock) -> float:
    """Never negative: the clock may have been set back."""
    return max(clock() - clock.resolve(then_ns), 0) // 1_000_000 / 1e3


def _process() -> ProcessStatus:
    times = os.times()
    return {
        "rss_bytes": _resident_bytes(),
        "cpu_s": round(times.user + times.system, 2),
        "open_files": _open_files(),
    }


def _resident_bytes() -> int | None:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return None

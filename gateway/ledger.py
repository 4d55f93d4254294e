"""Where every byte and every observation is: counters, their equations, and why things ended.

One `Account` per source (a serial port, a broker). The flow adds to its plain integer attributes;
whatever does not go on is entered with `lose`, which keeps the count per reason and the last
example. `imbalances` recomputes the equations of the flow:

    stream bytes = framed + noise + buffered                       serial only
    frames       = decoded + state + malformed + ignored + repeated
    quantities   = fields + refused
    readings     = observations + implausible + repeated + suppressed
    observations = uncommitted + spooled + shed
    polls        = answered + exceptions + timeouts + invalid + outstanding         asked devices
    spooled + inherited + retried = delivered + dead + evicted + corrupt + pending      lines

The last line belongs to the store, which keeps its counts in its own transactions (`Totals`);
`inherited` is what was pending when this process opened it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from operator import add
from typing import Self

from gateway.model import Reason, Totals

EXAMPLE_BYTES = 200
"""Enough of a bad line to recognize it, too little to fill a screen or memory."""


class Stage(StrEnum):
    """Where something ended."""

    NOISE = "noise"
    MALFORMED = "malformed"
    MALFORMED_ELEMENT = "malformed_element"
    IGNORED = "ignored"
    REPEATED_FRAME = "repeated_frame"
    REFUSED = "refused"
    IMPLAUSIBLE = "implausible"
    REPEATED = "repeated"
    SHED = "shed"


@dataclass(slots=True)
class Loss:
    """How often something ended at one stage for one reason, and the last time it did."""

    count: int = 0
    example: str = ""
    at_ns: int = 0


LATENCY_BUCKETS = 512
_LATENCY_LINEAR_BITS = 3


class Latency:
    """A histogram of durations: eight buckets to the octave, so quantiles are within 12.5 %."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * LATENCY_BUCKETS
        self.total = 0

    @classmethod
    def sum(cls, parts: Iterable["Latency"]) -> Self:
        """All of them in one."""
        found = cls()
        for part in parts:
            if part.total:
                found.counts = list(map(add, found.counts, part.counts))
                found.total += part.total
        return found

    def add(self, duration_ns: int) -> None:
        duration_us = duration_ns // 1000 if duration_ns > 0 else 0
        octave = max(duration_us.bit_length() - 1 - _LATENCY_LINEAR_BITS, 0)
        bucket = (octave << _LATENCY_LINEAR_BITS) + (duration_us >> octave)
        self.counts[min(bucket, LATENCY_BUCKETS - 1)] += 1
        self.total += 1

    def quantile_s(self, fraction: float) -> float | None:
        """The upper edge of the bucket that holds the quantile; None without any durations."""
        wanted = fraction * self.total
        reached = 0
        for edge_s, count in self.buckets():
            reached += count
            if reached >= wanted:
                return edge_s
        return None

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Upper edge and count of every bucket that holds any, in order."""
        for bucket, count in enumerate(self.counts):
            if count:
                yield _upper_edge_us(bucket) / 1e6, count


def _upper_edge_us(bucket: int) -> int:
    """The first microsecond after the bucket.

    Buckets 0 to 15 hold one microsecond each, every later run of eight covers one octave.
    """
    following = bucket + 1
    octave = max((following >> _LATENCY_LINEAR_BITS) - 1, 0)
    return (following - (octave << _LATENCY_LINEAR_BITS)) << octave


@dataclass(slots=True)
class Account:
    """The counts of one source since the process started."""

    source: str
    kind: str
    """"serial" or "mqtt"; "internal" is the gateway itself."""
    connected: bool = False
    connections: int = 0
    """How often it was opened."""
    problem: str = ""
    """What keeps it from being connected, in words for the operator."""
    detail: str = ""
    """What was found out about the way there, in words: a baud rate."""
    last_frame_ns: int = 0
    bytes_received: int = 0
    bytes_framed: int = 0
    bytes_noise: int = 0
    bytes_buffered: int = 0
    frames: int = 0
    decoded: int = 0
    state: int = 0
    malformed: int = 0
    ignored: int = 0
    repeated_frames: int = 0
    malformed_elements: int = 0
    quantities: int = 0
    fields: int = 0
    refused: int = 0
    readings: int = 0
    observations: int = 0
    implausible: int = 0
    repeated: int = 0
    suppressed: int = 0
    uncommitted: int = 0
    spooled: int = 0
    shed: int = 0
    polls: int = 0
    answered: int = 0
    exceptions: int = 0
    timeouts: int = 0
    invalid: int = 0
    outstanding: int = 0
    commit_latency: Latency = field(default_factory=Latency)
    """Arrival to commit."""
    device_times: int = 0
    """Observations that carry the device's own time; the others carry that of arrival."""

    def counts(self) -> dict[str, int]:
        """The counters by name."""
        return {name: getattr(self, name) for name in _COUNTERS}


EQUATIONS = {
    "bytes": ("bytes_received", ("bytes_framed", "bytes_noise", "bytes_buffered")),
    "frames": ("frames", ("decoded", "state", "malformed", "ignored", "repeated_frames")),
    "quantities": ("quantities", ("fields", "refused")),
    "readings": ("readings", ("observations", "implausible", "repeated", "suppressed")),
    "observations": ("observations", ("uncommitted", "spooled", "shed")),
    "polls": ("polls", ("answered", "exceptions", "timeouts", "invalid", "outstanding")),
}
"""What comes to an account, and the counters it goes to; always equal."""

LINES_CAME = ("spooled", "inherited", "retried")
LINES_WENT = ("delivered", "dead", "evicted", "corrupt", "pending")
"""Likewise for `Ledger.lines`."""

_COUNTERS = tuple(f.name for f in fields(Account) if f.type is int and f.name != "last_frame_ns")


class Ledger:
    """All accounts, all losses, and whether they add up."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.losses: dict[tuple[str, Stage, Reason], Loss] = {}
        self._opening = Totals()

    @property
    def commit_latency(self) -> Latency:
        """Arrival to commit, over all sources."""
        return Latency.sum(account.commit_latency for account in self.accounts.values())

    def account(self, source: str, kind: str) -> Account:
        """The account of `source`, opened where it is new."""
        return self.accounts.setdefault(source, Account(source, kind))

    def open_store(self, totals: Totals) -> None:
        """Remember what the store held when this process opened it."""
        self._opening = totals

    def lose(
        self,
        account: Account,
        stage: Stage,
        reason: Reason,
        example: bytes | str = b"",
        *,
        now_ns: int,
        count: int = 1,
    ) -> None:
        """Enter that `count` things ended; the stage's total in the account moves with it."""
        key = (account.source, stage, reason)
        loss = self.losses.get(key)
        if loss is None:
            loss = self.losses[key] = Loss()
        loss.count += count
        loss.at_ns = now_ns
        if example:
            loss.example = printable(example)
        total = _TOTALS[stage]
        setattr(account, total, getattr(account, total) + count)

    def lines(self, totals: Totals) -> dict[str, int]:
        """The store's counts since this process opened it; `inherited` was pending then."""
        opening = self._opening
        run = {
            name: getattr(totals, name) - getattr(opening, name)
            for name in ("spooled", "retried", "delivered", "dead", "evicted", "corrupt")
        }
        return run | {"inherited": opening.pending, "pending": totals.pending}

    def imbalances(self, totals: Totals) -> list[str]:
        """Every equation that does not hold, in words; none means that the ledger balances."""
        return [
            problem
            for account in self.accounts.values()
            for problem in _account_imbalances(account)
        ] + list(self._line_imbalances(totals))

    def balanced(self, totals: Totals) -> bool:
        return not self.imbalances(totals)

    def _line_imbalances(self, totals: Totals) -> Iterator[str]:
        lines = self.lines(totals)
        came = sum(lines[name] for name in LINES_CAME)
        went = sum(lines[name] for name in LINES_WENT)
        if came != went:
            yield f"store: {came} lines came, {went} are accounted for"
        entered = sum(account.spooled for account in self.accounts.values())
        if entered != lines["spooled"]:
            yield f"store: sources committed {entered} lines, the store counts {lines['spooled']}"


def _account_imbalances(account: Account) -> Iterator[str]:
    for name, (total, parts) in EQUATIONS.items():
        came = getattr(account, total)
        went = sum(getattr(account, part) for part in parts)
        if came != went:
            yield f"{account.source}: {came} {name} came, {went} are accounted for"


_TOTALS = {
    Stage.NOISE: "bytes_noise",
    Stage.MALFORMED: "malformed",
    Stage.MALFORMED_ELEMENT: "malformed_elements",
    Stage.IGNORED: "ignored",
    Stage.REPEATED_FRAME: "repeated_frames",
    Stage.REFUSED: "refused",
    Stage.IMPLAUSIBLE: "implausible",
    Stage.REPEATED: "repeated",
    Stage.SHED: "shed",
}


def printable(example: bytes | str) -> str:
    """As it is where a terminal can show it, escaped where not."""
    text = (
        example[:EXAMPLE_BYTES].decode("utf-8", "backslashreplace")
        if isinstance(example, bytes)
        else example[:EXAMPLE_BYTES]
    )
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

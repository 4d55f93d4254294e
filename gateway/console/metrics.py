"""The ledger for Prometheus, in its text format: made anew for each scrape, nothing is kept.

Names are `sensor_gateway_<noun>_total{source=...,outcome=...}`: the outcomes of a noun add up to
its total, as the ledger's equations say. Limits: labels are sources of the configuration and
members of closed lists, never devices, so that their number is bounded.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.clock import SystemClock
from gateway.delivery import State
from gateway.ledger import EQUATIONS, LINES_WENT, Account, Latency
from gateway.spool.store import Spool
from gateway.times import is_since_boot

if TYPE_CHECKING:
    from gateway.app import Gateway

_PREFIX = "sensor_gateway"

_LEVELS = {"bytes_buffered", "uncommitted", "outstanding", "pending"}
"""What stands in an equation and goes down again: gauges."""

_LATENCY_EDGES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def exposition(gateway: "Gateway", wrong: Sequence[str]) -> bytes:
    """All metrics; `wrong` is what `imbalances` found."""
    registry = CollectorRegistry()
    registry.register(_GatewayCollector(gateway, wrong))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _GatewayCollector(Collector):
    def __init__(self, gateway: "Gateway", wrong: Sequence[str]) -> None:
        self._gateway = gateway
        self._wrong = wrong

    def collect(self) -> Iterator[Metric]:
        gateway = self._gateway
        accounts = list(gateway.ledger.accounts.values())
        info = _gauge("info", "Which gateway this is.", ["name", "version"])
        info.add_metric([gateway.config.gateway.name, __version__], 1)
        yield info
        started_s = _date_s(gateway.started_ns, gateway.clock)
        yield _plain("started_timestamp_seconds", "When it started.", started_s)
        yield _plain("ledger_balanced", "1: every count adds up.", not self._wrong)
        yield from _flow(accounts)
        yield from _sources(accounts, gateway.clock)
        yield self._losses()
        yield from self._store()
        yield from self._delivery()
        yield _latency(gateway.ledger.commit_latency)
        series = len(gateway.registry.histories())
        yield _plain("series", "Devices, as measurements and tags tell them apart.", series)

    def _losses(self) -> Metric:
        family = _counter(
            "losses",
            "Whatever did not go on, by where it ended and why.",
            ["source", "stage", "reason"],
        )
        for key, loss in self._gateway.ledger.losses.items():
            family.add_metric(key, loss.count)
        return family

    def _store(self) -> Iterator[Metric]:
        store, committer = self._gateway.store, self._gateway.committer
        lines = self._gateway.ledger.lines(store.totals())
        family = _counter("lines", "Lines that left the store, by how.", ["outcome"])
        for outcome in LINES_WENT:
            if outcome not in _LEVELS:
                family.add_metric([outcome], lines[outcome])
        yield family
        for name in ("spooled", "retried"):
            yield CounterMetricFamily(f"{_PREFIX}_{name}_lines", f"Lines {name}.", lines[name])
        yield _plain("inherited_lines", "Lines pending at the start.", lines["inherited"])
        yield _plain("pending_lines", "Lines that InfluxDB does not have yet.", lines["pending"])
        held = store.held()
        yield _plain("held_lines", "Of these, those that wait for the clock to be trusted.", held)
        if isinstance(store, Spool):
            yield _plain("pending_bytes", "Bytes of these lines.", store.pending_bytes())
            letters = store.letter_counts()
            yield _plain("dead_letters", "Refused lines that are kept.", letters.kept)
            yield _plain("dead_letter_bytes", "What they take.", letters.kept_bytes)
            yield CounterMetricFamily(
                f"{_PREFIX}_dead_letters_forgotten",
                "Refused lines that made room for later ones.",
                letters.forgotten,
            )
        accepting = committer.admission.has_room
        yield _plain("store_has_room", "0: sources that can wait stay away.", accepting)
        stuck = bool(committer.problem)
        yield _plain("store_problem", "1: observations do not reach the disk.", stuck)

    def _delivery(self) -> Iterator[Metric]:
        delivery = self._gateway.delivery
        if delivery is None:
            return
        states = _gauge("delivery_state", "1 for what delivery is doing.", ["state"])
        for state in State:
            states.add_metric([state], float(delivery.state is state))
        yield states
        last_s = _date_s(delivery.last_delivered_ns or 0, self._gateway.clock)
        yield _plain("last_delivered_timestamp_seconds", "0: not since the start.", last_s)


def _flow(accounts: Sequence[Account]) -> Iterator[Metric]:
    """One counter per equation."""
    for name, (_, parts) in EQUATIONS.items():
        family = _counter(name, f"What became of {name}.", ["source", "outcome"])
        for account in accounts:
            for part in parts:
                if part not in _LEVELS:
                    outcome = part.removeprefix("bytes_")
                    family.add_metric([account.source, outcome], getattr(account, part))
        yield family


def _sources(accounts: Sequence[Account], clock: SystemClock) -> Iterator[Metric]:
    connected = _gauge("source_connected", "1: the source is connected.", ["source", "kind"])
    opened = _counter("source_connections", "How often it was opened.", ["source"])
    last = _gauge("source_last_frame_timestamp_seconds", "0: none yet.", ["source"])
    memory = _gauge("uncommitted", "Observations not on disk yet.", ["source"])
    asked = _gauge("outstanding", "Requests that wait for an answer.", ["source"])
    buffered = _gauge("bytes_buffered", "Bytes of unfinished frames.", ["source"])
    device_times = _counter("device_times", "Observations with the device's time.", ["source"])
    for account in accounts:
        source = [account.source]
        connected.add_metric([account.source, account.kind], account.connected)
        opened.add_metric(source, account.connections)
        last.add_metric(source, _date_s(account.last_frame_ns, clock))
        memory.add_metric(source, account.uncommitted)
        asked.add_metric(source, account.outstanding)
        buffered.add_metric(source, account.bytes_buffered)
        device_times.add_metric(source, account.device_times)
    yield from (connected, opened, last, memory, asked, buffered, device_times)


def _date_s(time_ns: int, clock: SystemClock) -> float:
    """Seconds since 1970; 0 for never, and for what happened before there was a time of day."""
    time_ns = clock.resolve(time_ns)
    return 0.0 if is_since_boot(time_ns) else time_ns / 1e9


def _latency(latency: Latency) -> Metric:
    """The ledger's fine buckets in few; the sum is an estimate, at most an eighth too large."""
    found = list(latency.buckets())
    counts = [0] * (len(_LATENCY_EDGES_S) + 1)
    for edge_s, count in found:
        counts[sum(edge_s > limit for limit in _LATENCY_EDGES_S)] += count
    edges = [*map(str, _LATENCY_EDGES_S), "+Inf"]
    return HistogramMetricFamily(
        f"{_PREFIX}_commit_latency_seconds",
        "From arrival to disk.",
        buckets=list(zip(edges, accumulate(counts), strict=True)),
        sum_value=sum(edge_s * count for edge_s, count in found),
    )


def _counter(noun: str, words: str, labels: Sequence[str]) -> CounterMetricFamily:
    return CounterMetricFamily(f"{_PREFIX}_{noun}", words, labels=labels)


def _gauge(noun: str, words: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}_{noun}", words, labels=labels)


def _plain(noun: str, words: str, value: float) -> GaugeMetricFamily:
    """A gauge without labels."""
    return GaugeMetricFamily(f"{_PREFIX}_{noun}", words, value=float(value))

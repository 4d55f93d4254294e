"""How a batch is taken apart: by size and by guilt, in few requests, and back to full size."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from gateway.delivery import BATCH_BYTES_MIN, State
from gateway.model import Deferred, Delivered, Halted, Receipt, Refused, TooLarge
from tests.test_delivery import Server, Spool, deliver_all, make, numbered, run, until

KIB = 1024


class SlowLine(Server):
    """A server behind a line so slow that what is too much for it times out."""

    def __init__(self, bytes_in_time: int) -> None:
        super().__init__()
        self.bytes_in_time = bytes_in_time
        self.timed_out: list[int] = []

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        size = sum(map(len, lines)) + len(lines)
        if size > self.bytes_in_time:
            await asyncio.sleep(10.0)
            self.timed_out.append(size)
            return Deferred("no answer within 10 s", smaller=True)
        return await super().write(lines)


class Words(Server):
    """Refuses `bad` lines in words that name nobody, `old` ones with their number, once each."""

    def __init__(self, *, suspects: bool = False) -> None:
        super().__init__()
        self.suspects = suspects

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        receipt = await super().write(lines)
        if not isinstance(receipt, Refused):
            return receipt
        bad = [index for index, line in enumerate(lines) if line.startswith(b"bad")]
        message = f"partial write: conflict dropped={len(bad)}"
        everyone = dict.fromkeys(bad, message) if len(bad) == len(lines) else {}
        return Refused(422, message, everyone, bad if self.suspects else ())


def rows(count: int, size: int = KIB) -> list[list[bytes]]:
    return [[b"%06d" % i + b"x" * (size - 7)] for i in range(count)]


def test_a_slow_line_gets_everything_in_smaller_batches() -> None:
    """Retried at the same size for ever, a batch of 1 MiB would never arrive."""
    spool, server = Spool(rows(4 * KIB)), SlowLine(100 * KIB)
    delivery = deliver_all(spool, server, batch_bytes=KIB * KIB, look_every_s=1.0)
    assert sorted(server.stored) == [line for row in rows(4 * KIB) for line in row]
    assert spool.dead == []
    assert len(server.timed_out) <= 4 + 4, "the size is learned, not found anew for each batch"
    assert delivery.problem == ""


def test_a_line_that_gets_faster_is_used_in_full_again() -> None:
    spool, server = Spool(rows(2 * KIB)), SlowLine(100 * KIB)
    server.on_write = lambda: (
        setattr(server, "bytes_in_time", 1 << 30) if len(server.stored) > KIB else None
    )
    spool.rows |= dict(enumerate(rows(8 * KIB), 10 * KIB))
    deliver_all(spool, server, batch_bytes=KIB * KIB, look_every_s=1.0)
    largest = max(count for _, count in server.requests)
    assert largest >= 900
    assert [count for _, count in server.requests][-2] >= 900, "and stays so"


def test_after_a_proxy_is_mended_batches_grow_to_full_size_again() -> None:
    spool, server = Spool(rows(12 * KIB)), Server()
    server.bytes_max = 40 * KIB
    server.on_write = lambda: (
        setattr(server, "bytes_max", 1 << 30) if len(server.stored) > 4 * KIB else None
    )
    deliver_all(spool, server, batch_bytes=KIB * KIB, look_every_s=1.0)
    assert len(server.stored) == 12 * KIB
    assert max(count for _, count in server.requests) >= 900
    assert server.too_large <= 5 + 5, "five halvings; attempts after 4, 8, 16, 32, 64 deliveries"


def test_a_server_that_hangs_does_not_split_small_batches() -> None:
    spool = Spool([numbered(10)])
    server = Server(*[Deferred("no answer", smaller=True)] * 5)
    deliver_all(spool, server)
    assert [count for _, count in server.requests] == [10] * 6


def test_a_single_large_line_that_times_out_is_kept_and_tried_again() -> None:
    spool, server = Spool([[b"x" * 4 * BATCH_BYTES_MIN]]), Server()
    server.receipts.extend([Deferred("no answer", smaller=True)] * 20)
    deliver_all(spool, server, batch_bytes=1 << 20, look_every_s=1.0)
    assert (len(server.stored), spool.dead) == (1, [])


def test_a_small_line_is_never_too_large() -> None:
    """A proxy that refuses 100 bytes for their size refuses everything: nothing may die of it."""
    spool, server = Spool([numbered(4)]), Server(*[TooLarge("HTTP 413")] * 30)

    async def scenario() -> None:
        delivery = make(spool, server)
        await until(delivery, lambda: delivery.state == State.HALTED or not spool.rows, 1.0)
        assert delivery.problem == "HTTP 413"
        await until(make(spool, server), lambda: not spool.rows)

    run(scenario())
    assert sorted(server.stored) == numbered(4)
    assert spool.dead == []


@pytest.mark.parametrize(
    ("bad", "requests"), [(1, 3), (100, 3), (5_000, 3), (9_999, 3), (10_000, 2)]
)
def test_suspects_cost_three_requests_however_many_they_are(bad: int, requests: int) -> None:
    lines = numbered(10_000, range(0, 10_000, 10_000 // bad) if bad < 5_001 else range(bad))
    guilty = [line for line in lines if line.startswith(b"bad")]
    spool, server = Spool([lines]), Words(suspects=True)
    deliver_all(spool, server, batch_bytes=1 << 20)
    assert [letter.line for letter in spool.dead] == guilty
    assert set(server.stored) == {line for line in lines if line.startswith(b"good")}
    assert len(server.requests) == requests


@pytest.mark.parametrize(("bad", "requests"), [(1, 45), (10_000, 2)])
def test_counted_refusals_name_everybody_or_are_halved(bad: int, requests: int) -> None:
    spool, server = Spool([numbered(10_000, range(bad))]), Words()
    deliver_all(spool, server, batch_bytes=1 << 20)
    assert len(spool.dead) == bad
    assert len(server.requests) <= requests


class NamesHundred(Server):
    """Names the first hundred bad lines of a request, as version 3 does."""

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        self.names_guilty = True
        receipt = await super().write(lines)
        if not isinstance(receipt, Refused):
            return receipt
        return receipt._replace(guilty=dict(list(receipt.guilty.items())[:100]))


@pytest.mark.parametrize(
    ("bad", "requests", "sent"),
    [
        (range(10_000), 200, 60_000),
        (range(0, 10_000, 2), 180, 60_000),
        (range(100), 10, 21_000),
        (range(9_900, 10_000), 4, 21_000),
        (range(150), 12, 21_000),
        (range(5_000, 7_000), 60, 60_000),
    ],
)
def test_a_server_that_names_a_hundred_at_a_time(bad: range, requests: int, sent: int) -> None:
    """All lines were sent a hundred times over before."""
    lines = numbered(10_000, bad)
    spool, server = Spool([lines]), NamesHundred()
    deliver_all(spool, server, batch_bytes=1 << 20)
    assert {letter.line for letter in spool.dead} == {lines[index] for index in bad}
    assert set(server.stored) == {line for line in lines if line.startswith(b"good")}
    assert len(server.requests) <= requests
    assert sum(count for _, count in server.requests) <= sent


def test_good_lines_among_the_suspects_survive() -> None:
    """Suspected: all of 64 lines; refused: three of them."""
    lines = numbered(64, bad=[3, 4, 60])
    suspicious = Refused(422, "partial write: conflict dropped=3", {}, range(60))
    spool, server = Spool([lines]), Words()
    server.receipts.extend([suspicious] * 3)
    deliver_all(spool, server, batch_bytes=10_000)
    assert sorted(letter.line for letter in spool.dead) == [b"bad 3", b"bad 4", b"bad 60"]
    assert set(server.stored) >= {line for line in lines if line.startswith(b"good")}


def test_whoever_is_named_twice_dies_with_the_words_about_it() -> None:
    lines = numbered(5, bad=[1, 3])
    first = Refused(400, "partial write", {1: "once", 3: "once"})
    second = Refused(400, "partial write", {0: "no field", 1: "no time"})
    spool, server = Spool([lines]), Server(first, Delivered(), second)
    deliver_all(spool, server)
    assert [(letter.line, letter.message) for letter in spool.dead] == [
        (b"bad 1", "no field"),
        (b"bad 3", "no time"),
    ]
    assert len(server.requests) == 3


def test_whoever_is_not_named_again_is_sent_again() -> None:
    first = Refused(400, "partial write", {0: "x", 1: "x", 2: "x"})
    second = Refused(400, "partial write", {1: "y", 7: "z", -1: "z"})
    spool, server = Spool([numbered(3)]), Server(first, second)
    deliver_all(spool, server)
    assert [letter.line for letter in spool.dead] == [b"good 1"], "named twice, as scripted"
    assert sorted(server.stored) == [b"good 0", b"good 2"]


def test_an_outage_between_two_refusals_changes_nothing() -> None:
    lines = numbered(100, bad=[7, 8])
    outage: list[Receipt] = [
        Deferred("gone", smaller=True),
        Halted("HTTP 401"),
        Deferred("busy", 5.0),
    ]
    spool, server = Spool([lines]), Server(Refused(400, "x", {7: "x", 8: "x"}), *outage)
    server.names_guilty = True
    deliver_all(spool, server, batch_bytes=10_000)
    assert [letter.line for letter in spool.dead] == [b"bad 7", b"bad 8"]
    assert spool.delivered == 98


class Whims(Server):
    """Bad lines are named, suspected or hidden, rightly and wrongly; the world interferes."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self.rng = rng

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        whim = self.rng.random()
        if whim < 0.2:
            troubles: list[Receipt] = [Deferred("x", 5.0), Deferred("x", smaller=True), Halted("y")]
            return self.rng.choice(troubles)
        receipt = await super().write(lines)
        if not isinstance(receipt, Refused):
            return receipt
        bad = [index for index, line in enumerate(lines) if line.startswith(b"bad")]
        named = self.rng.sample(bad, self.rng.randrange(len(bad) + 1))
        suspects = self.rng.sample(range(len(lines)), self.rng.randrange(len(lines) + 1))
        guilty = dict.fromkeys(named, "words") if whim < 0.6 else {}
        return Refused(400, "words", guilty, suspects if self.rng.random() < 0.5 else ())


def test_whatever_a_server_says_each_line_has_the_right_end_once() -> None:
    for seed in range(100):
        rng = Random(seed)
        bad = [i for i in range(200) if rng.random() < rng.choice([0.0, 0.02, 0.5, 1.0])]
        lines = numbered(200, bad)
        cuts = sorted(rng.sample(range(1, 200), 9))
        spool = Spool([lines[a:b] for a, b in zip([0, *cuts], [*cuts, 200], strict=True)])
        server = Whims(rng)
        server.bytes_max = rng.choice([60, 400, 1 << 20])
        deliver_all(spool, server, batch_bytes=rng.choice([100, 1_000, 10_000]), look_every_s=1.0)
        assert sorted(letter.line for letter in spool.dead) == sorted(lines[i] for i in bad), seed
        assert set(server.stored) == {line for line in lines if line.startswith(b"good")}, seed
        assert spool.delivered == 200 - len(bad), seed

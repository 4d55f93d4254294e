"""Every line ends in the database or among the dead, once, whatever the server and the disk do."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from selectors import DefaultSelector, SelectorKey

import pytest

from gateway.backoff import Backoff
from gateway.delivery import BATCH_BYTES_MIN, Delivery, State
from gateway.errors import StoreError
from gateway.model import (
    Batch,
    DeadLetter,
    Deferred,
    Delivered,
    Halted,
    Receipt,
    Refused,
    TooLarge,
)


class Jump(DefaultSelector):
    """Instead of waiting, moves the clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        assert timeout is not None, "everything waits for something that nobody does"
        self.now_s += max(timeout, 0.0)
        return super().select(0)


def run(scenario: Coroutine[None, None, None]) -> None:
    """Run on a virtual clock: a week of pauses takes no time."""
    selector = Jump()

    def make_loop() -> asyncio.AbstractEventLoop:
        loop = asyncio.SelectorEventLoop(selector)
        loop.time = lambda: selector.now_s  # type: ignore[method-assign]
        return loop

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(scenario)


class Spool:
    """Rows of lines in memory, in order."""

    def __init__(self, rows: Sequence[Sequence[bytes]] = ()) -> None:
        self.rows = dict(enumerate(rows, 1))
        self.next_row = len(self.rows) + 1
        self.delivered = 0
        self.dead: list[DeadLetter] = []
        self.failures: deque[StoreError] = deque()
        self.reads = 0
        self.taken: set[int] = set()

    def append(self, *lines: bytes) -> None:
        self.rows[self.next_row] = lines
        self.next_row += 1

    async def read(self, max_bytes: int, max_lines: int, *, newest: bool) -> Batch | None:
        await self._fail()
        self.reads += 1
        taken: list[int] = []
        size = lines = 0
        rows = [*self.rows.items()]
        for row, content in reversed(rows) if newest else rows:
            row_size = sum(len(line) + 1 for line in content)
            full = size + row_size > max_bytes or lines + len(content) > max_lines
            if row in self.taken:
                continue
            if taken and full:
                break
            taken.append(row)
            size += row_size
            lines += len(content)
            if full:
                break
        if not taken:
            return None
        self.taken.update(taken)
        taken.sort()
        return Batch(tuple(taken), [line for row in taken for line in self.rows[row]], size)

    async def settle(self, rows: Sequence[int], delivered: int, dead: Sequence[DeadLetter]) -> None:
        await self._fail()
        total = sum(len(self.rows.pop(row)) for row in rows)
        assert total == delivered + len(dead), "each line has exactly one end"
        self.delivered += delivered
        self.dead += dead

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.popleft()


class Server:
    """Takes good lines; scripted receipts come first."""

    def __init__(self, *receipts: Receipt, request_s: float = 0.01) -> None:
        self.receipts = deque(receipts)
        self.stored: list[bytes] = []
        self.requests: list[tuple[float, int]] = []
        self.request_s = request_s
        self.bytes_max = 1 << 30
        self.too_large = 0
        self.names_guilty = False
        self.on_write: Callable[[], None] = lambda: None

    async def write(self, lines: Sequence[bytes]) -> Receipt:
        self.on_write()
        self.requests.append((asyncio.get_running_loop().time(), len(lines)))
        await asyncio.sleep(self.request_s)
        if self.receipts:
            return self.receipts.popleft()
        if sum(len(line) + 1 for line in lines) > self.bytes_max:
            self.too_large += 1
            return TooLarge("HTTP 413")
        guilty = tuple(index for index, line in enumerate(lines) if line.startswith(b"bad"))
        self.stored += [line for line in lines if not line.startswith(b"bad")]
        if not guilty:
            return Delivered()
        return Refused(400, "unable to parse", guilty if self.names_guilty else ())


def make(
    spool: Spool, server: Server, batch_bytes: int = 1_000, *, newest_first: bool = False
) -> Delivery:
    spool.taken.clear()  # as after a restart
    return Delivery(
        spool,
        server,
        flush_interval_s=1.0,
        batch_bytes=batch_bytes,
        newest_first=newest_first,
        backoff=Backoff(0.5, 60.0, Random(1)),
        disk_backoff=Backoff(0.5, 5.0, Random(2)),
        halt_pause_s=30.0,
        now_ns=lambda: 42,
    )


async def until(delivery: Delivery, done: Callable[[], bool], look_every_s: float = 0.01) -> None:
    """Let the delivery run until `done`."""
    async with asyncio.timeout(30 * 86_400), asyncio.TaskGroup() as group:
        task = group.create_task(delivery.run())
        while not done():  # noqa: ASYNC110 - the clock is virtual
            await asyncio.sleep(look_every_s)
        task.cancel()


def deliver_all(
    spool: Spool, server: Server, batch_bytes: int = 1_000, look_every_s: float = 0.01
) -> Delivery:
    """Run until the spool is empty."""
    made: list[Delivery] = []

    async def scenario() -> None:
        made.append(make(spool, server, batch_bytes))
        await until(made[0], lambda: not spool.rows, look_every_s)

    run(scenario())
    return made[0]


def numbered(count: int, bad: Sequence[int] = ()) -> list[bytes]:
    return [(b"bad" if i in bad else b"good") + b" %d" % i for i in range(count)]


def times(server: Server) -> list[float]:
    return [round(at_s, 3) for at_s, _ in server.requests]


def test_what_the_spool_holds_arrives_and_leaves_the_spool() -> None:
    spool, server = Spool([numbered(3), numbered(2)]), Server()
    delivery = deliver_all(spool, server)
    assert server.stored == numbered(3) + numbered(2)
    assert (spool.delivered, delivery.delivered_lines, spool.dead) == (5, 5, [])
    assert (delivery.state, delivery.problem) == (State.IDLE, "")
    assert delivery.last_delivered_ns == 42


def test_a_backlog_drains_without_pauses_and_trickles_are_collected() -> None:
    spool, server = Spool([[b"x" * 99] * 10] * 50), Server()

    async def scenario() -> None:
        delivery = make(spool, server)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(delivery.run())
            await asyncio.sleep(0.9)
            assert not spool.rows
            drained = len(server.requests)
            assert drained == 50
            for _ in range(100):
                spool.append(b"trickle")
                delivery.notify()
                await asyncio.sleep(0.1)
            await asyncio.sleep(1.0)
            task.cancel()
        pauses = [b - a for a, b in zip(times(server)[50:], times(server)[51:], strict=False)]
        assert min(pauses) >= 0.999
        assert server.stored[-100:] == [b"trickle"] * 100
        assert 10 <= len(server.requests) - drained <= 12

    run(scenario())


def test_an_idle_gateway_asks_nothing() -> None:
    spool, server = Spool(), Server()

    async def scenario() -> None:
        delivery = make(spool, server)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(delivery.run())
            await asyncio.sleep(86_400)
            assert spool.reads == 1
            spool.append(b"at last")
            delivery.notify()
            await asyncio.sleep(0.02)
            task.cancel()
        assert server.stored == [b"at last"], "after a quiet time the first line waits for nothing"

    run(scenario())


def test_a_week_without_the_database_loses_nothing_and_says_why() -> None:
    spool = Spool([numbered(5)])
    server = Server(*[Deferred("connection refused")] * 20_000)
    delivery = deliver_all(spool, server, look_every_s=60.0)
    pauses = [b - a for a, b in zip(times(server), times(server)[1:], strict=False)]
    assert max(pauses) <= 60.1
    assert len(set(pauses[10:30])) > 10, "jitter"
    assert server.stored == numbered(5)
    assert delivery.problem == ""


def test_the_problem_can_be_read_while_it_lasts() -> None:
    spool = Spool([numbered(1)])
    for receipt, state in (
        (Deferred("no route to host"), State.WAITING),
        (Halted("HTTP 401: unauthorized"), State.HALTED),
    ):
        server = Server(*[receipt] * 1000)

        async def scenario(server: Server = server, receipt: Receipt = receipt) -> None:
            delivery = make(spool, server)
            await until(delivery, lambda: delivery.state not in {State.IDLE, State.SENDING})
            assert delivery.state == state  # noqa: B023
            assert delivery.problem == receipt.problem  # type: ignore[union-attr]

        run(scenario())
    assert spool.rows, "nothing is given up"


def test_a_halt_stays_one_while_it_is_tried_again() -> None:
    spool, server = Spool([numbered(1)]), Server(*[Halted("HTTP 401: unauthorized")] * 3)
    states: list[State] = []

    async def scenario() -> None:
        delivery = make(spool, server)
        server.on_write = lambda: states.append(delivery.state)
        await until(delivery, lambda: bool(server.stored))

    run(scenario())
    assert states == [State.SENDING, State.HALTED, State.HALTED, State.HALTED]


def test_retry_after_is_honoured() -> None:
    server = Server(Deferred("busy", after_s=120.0))
    deliver_all(Spool([numbered(1)]), server)
    first, second = times(server)
    assert 120.0 <= second - first <= 121.0


def test_what_only_the_operator_can_mend_is_tried_at_long_intervals() -> None:
    server = Server(*[Halted("HTTP 404")] * 3)
    deliver_all(Spool([numbered(1)]), server)
    assert times(server) == [0.0, 30.01, 60.02, 90.03]


@pytest.mark.parametrize("names_guilty", [False, True])
@pytest.mark.parametrize("bad", [[0], [63], [17], [5, 6], [0, 31, 32, 63], list(range(64))])
def test_only_the_guilty_lines_die(bad: list[int], *, names_guilty: bool) -> None:
    lines = numbered(64, bad)
    spool, server = Spool([lines[:20], lines[20:]]), Server()
    server.names_guilty = names_guilty
    deliver_all(spool, server, batch_bytes=10_000)
    assert {letter.line for letter in spool.dead} == {lines[index] for index in bad}
    assert len(spool.dead) == len(bad)
    assert {letter.message for letter in spool.dead} == {"unable to parse"}
    assert set(server.stored) == {line for line in lines if line.startswith(b"good")}
    assert spool.delivered == 64 - len(bad)
    if names_guilty:
        assert len(server.requests) <= 2 + len(bad)


def test_a_line_is_refused_twice_before_it_dies() -> None:
    spool, server = Spool([[b"good"]]), Server(Refused(400, "field type conflict"))
    deliver_all(spool, server)
    assert (server.stored, spool.dead) == ([b"good"], [])


@pytest.mark.parametrize("guilty", [(7,), (99,), (0, 1, 2)])
def test_wrongly_named_lines_survive(guilty: tuple[int, ...]) -> None:
    lines = numbered(8, bad=[3])
    spool, server = Spool([lines]), Server(Refused(400, "line 8", guilty))
    deliver_all(spool, server)
    assert [letter.line for letter in spool.dead] == [b"bad 3"]
    assert spool.delivered == 7


def test_too_large_batches_are_halved_by_bytes_and_later_ones_are_read_smaller() -> None:
    spool, server = Spool([[b"x" * 999] * 8] * 256), Server()
    server.bytes_max = 2 * BATCH_BYTES_MIN
    deliver_all(spool, server, batch_bytes=128_000)
    assert len(server.stored) == 2048
    assert spool.dead == []
    assert 1 <= server.too_large <= 14, "the limit is learned, not found anew for every batch"


def test_a_single_line_too_large_dies_with_the_words_of_the_server() -> None:
    spool, server = Spool([[b"a", b"x" * 2_000, b"b"]]), Server()
    server.bytes_max = 1_000
    deliver_all(spool, server, batch_bytes=10_000)
    assert sorted(server.stored) == [b"a", b"b"]
    assert [(letter.status, letter.message) for letter in spool.dead] == [(413, "HTTP 413")]


def test_an_outage_in_the_middle_of_a_search_changes_nothing() -> None:
    lines = numbered(16, bad=[9])
    spool = Spool([lines])
    server = Server(
        Refused(400, "somewhere"), Deferred("gone"), Delivered(), Deferred("gone"), Halted("401")
    )
    deliver_all(spool, server)
    assert [letter.line for letter in spool.dead] == [b"bad 9"]
    assert spool.delivered == 15


def test_a_failing_disk_delays_and_loses_nothing() -> None:
    spool, server = Spool([[b"x" * 99] * 10] * 5), Server()
    spool.failures.extend([StoreError("disk I/O error")] * 12)
    delivery = deliver_all(spool, server)
    assert len(server.stored) >= 50
    assert spool.delivered == 50
    assert delivery.problem == ""


def test_stopping_at_any_instant_only_sends_lines_again() -> None:
    for stop_after in range(60):
        rows = [numbered(10, bad=[2])] * 4
        spool, server = Spool(rows), Server()

        async def scenario(spool: Spool = spool, server: Server = server) -> None:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(make(spool, server, batch_bytes=90).run())
                await asyncio.sleep(stop_after * 0.005)  # noqa: B023
                task.cancel()
            await until(make(spool, server, batch_bytes=90), lambda: not spool.rows)

        run(scenario())
        assert (spool.delivered, len(spool.dead)) == (36, 4)
        assert set(server.stored) == {line for line in rows[0] if line.startswith(b"good")}


def test_random_worlds_balance() -> None:
    for seed in range(100):
        rng = Random(seed)
        bad = [i for i in range(300) if rng.random() < rng.choice([0.0, 0.01, 0.3])]
        lines = numbered(300, bad)
        cuts = sorted(rng.sample(range(300), 20))
        rows = [lines[a:b] for a, b in zip([0, *cuts], [*cuts, 300], strict=True)]
        kinds: list[Receipt] = [Deferred("x"), Deferred("x", 3.0), Halted("y"), Refused(400, "z")]
        spool = Spool([row for row in rows if row])
        server = Server(*rng.choices(kinds, k=20))
        server.names_guilty = rng.random() < 0.5
        server.bytes_max = rng.choice([20, 200, 1 << 20])
        deliver_all(spool, server, batch_bytes=rng.choice([50, 500, 5_000]), look_every_s=1.0)
        dead = {letter.line for letter in spool.dead}
        assert set(server.stored) >= {line for line in lines if line.startswith(b"good")} - dead
        assert {line for line in lines if line.startswith(b"bad")} <= dead
        assert spool.delivered + len(spool.dead) == 300

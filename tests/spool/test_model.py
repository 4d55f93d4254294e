"""Random actions against the spool and a list: same lines, same counts, whatever happens between.

The model is what the spool promises, as plainly as it can be said. The spool on files and the one
in memory that the simulation runs on (`tests/simulation/spool.py`) are held to it alike. On files a
crash is a copy of them at any instant between calls, and a full disk is a page limit.
"""

import math
import random
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from gateway.errors import StoreError
from gateway.model import DeadLetter, Group, Pin, Totals
from gateway.redelivery import REMEMBERED
from gateway.spool import held
from gateway.spool.letters import KeptLetter
from gateway.spool.rows import ROW_BYTES
from gateway.spool.store import NEVER_SET, Spool
from tests.simulation.spool import MemoryDisk, MemorySpool
from tests.spool import held_lines

STEPS = 250
MAX_BYTES = 2**31
TestedSpool = Spool | MemorySpool


class Platform(Protocol):
    """Where a spool lives, and what can happen to it there."""

    def open(self, *, max_bytes: int = MAX_BYTES, min_free: int = 0, boot: str = "") -> TestedSpool:
        """Open it for the first time, or again."""

    def crash(self) -> None:
        """End the process that had it open last, without a word."""

    def full(self) -> AbstractContextManager[None]:
        """Meanwhile the disk takes nothing more than it has room for."""


class OnFiles:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._crashes = 0
        self._spool: Spool | None = None

    def open(self, *, max_bytes: int = MAX_BYTES, min_free: int = 0, boot: str = "") -> Spool:
        if self._spool is not None:
            self._spool.close()
        path = self._directory / str(self._crashes) / "spool.db"
        self._spool = Spool.open(
            path, max_bytes=max_bytes, min_free=min_free, now_ns=lambda: 1_700, boot=boot
        )
        return self._spool

    def crash(self) -> None:
        assert self._spool is not None
        self._crashes += 1
        before = self._spool.path.parent
        after = self._directory / str(self._crashes)
        shutil.copytree(before, after, ignore=shutil.ignore_patterns("*-shm"))
        self._spool.close()
        shutil.rmtree(before)

    @contextmanager
    def full(self) -> Iterator[None]:
        assert self._spool is not None
        with self._spool._open() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
        yield
        with self._spool._open() as db:
            db.execute(f"PRAGMA max_page_count = {2**30}")

    def close(self) -> None:
        if self._spool is not None:
            self._spool.close()


class InMemory:
    def __init__(self, _directory: Path) -> None:
        self._disk = MemoryDisk()

    def open(self, *, max_bytes: int = MAX_BYTES, min_free: int = 0, boot: str = "") -> MemorySpool:
        return MemorySpool(self._disk, max_bytes=max_bytes, min_free=min_free, boot=boot)

    def crash(self) -> None:
        """Nothing is left of the spool but its disk."""

    @contextmanager
    def full(self) -> Iterator[None]:
        self._disk.others = self._disk.size - self._disk.used
        yield
        self._disk.others = 0

    def close(self) -> None:
        """Nothing to close."""


@pytest.fixture(params=[OnFiles, InMemory])
def platform(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platform]:
    made = request.param(tmp_path)
    yield made
    made.close()


@dataclass
class Model:
    """The spool as lists."""

    lines: list[bytes] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    pins: dict[tuple[str, str], bool] = field(default_factory=dict)
    seen: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    held: list[tuple[str, bytes]] = field(default_factory=list)
    """The run of the machine, and the line."""
    dead: list[DeadLetter] = field(default_factory=list)
    dropped: int = 0

    def commit(self, group: Group[bytes], boot: str) -> None:
        waiting = (*group.held, *group.held_droppable)
        came = (*group.rows, *group.droppable, *waiting)
        self.lines += (*group.rows, *group.droppable)
        self.held += [(boot, line) for line in waiting]
        self.totals.spooled += len(came)
        self.totals.pending += len(came)
        self.pins |= {(pin.measurement, pin.field): pin.is_text for pin in group.pins}
        for session in group.forget:
            self.seen.pop(session, None)
        for session, pairs in group.seen.items():
            self.seen[session] = (self.seen.get(session, []) + pairs)[-REMEMBERED:]

    def release(self, boot: str) -> None:
        lines = [
            held.dated(line, held_lines.NOON) for started, line in self.held if started == boot
        ]
        dead = [line for started, line in self.held if started != boot]
        self.lines += lines
        self.dead += [DeadLetter(line, 0, NEVER_SET) for line in dead]
        self.totals.dead += len(dead)
        self.totals.pending -= len(dead)
        self.held = []

    def settle(self, lines: list[bytes], dead: list[DeadLetter]) -> None:
        for line in lines:
            self.lines.remove(line)
        self.dead += dead
        self.totals.delivered += len(lines) - len(dead)
        self.totals.dead += len(dead)
        self.totals.pending -= len(lines)

    def retry(self, letters: list[DeadLetter], lines: list[bytes]) -> None:
        for letter in letters:
            self.dead.remove(letter)
        self.lines += lines
        self.totals.retried += len(lines)
        self.totals.pending += len(lines)

    def drop(self, letters: list[DeadLetter]) -> None:
        for letter in letters:
            self.dead.remove(letter)
        self.dropped += len(letters)


class Trial:
    """The spool and its model, in step."""

    def __init__(self, rng: random.Random, platform: Platform) -> None:
        self.rng, self.platform = rng, platform
        self.model = Model()
        self.written = self.crashes = 0
        self.boot = "0"
        self.spool = platform.open(boot=self.boot)

    def group(self) -> Group[bytes]:
        rows = []
        for _ in range(self.rng.choice((0, 1, 10, 300))):
            self.written += 1
            rows.append(b"m v=%d " % self.written + b"x" * self.rng.randrange(600))
        numbers = [self.rng.randrange(65536) for _ in range(self.rng.choice((0, 1, 20, 4000)))]
        split = self.rng.choice((0, len(rows) // 2, len(rows)))
        waiting = [
            held_lines.line(self.rng.randrange(10**15)) for _ in range(self.rng.choice((0, 0, 3)))
        ]
        return Group(
            rows=rows[:split],
            held=waiting[:2],
            held_droppable=waiting[2:],
            droppable=rows[split:],
            pins=[Pin("m", self.rng.choice("abc"), self.rng.random() < 0.5)],
            seen={self.rng.choice("xy"): [(n, self.rng.randbytes(8)) for n in numbers]},
            forget={"x"} if self.rng.random() < 0.1 else set(),
        )

    def commit(self) -> None:
        group = self.group()
        self.spool.commit(group)
        self.model.commit(group, self.boot)

    def commit_on_a_full_disk(self) -> None:
        group = self.group()
        with self.platform.full():
            try:
                self.spool.commit(group)
            except StoreError:
                self.check()
            else:  # it fitted into free pages
                self.model.commit(group, self.boot)
                group = Group()
        self.spool.commit(group)
        self.model.commit(group, self.boot)

    def settle(self) -> None:
        newest = self.rng.random() < 0.5
        batch = self.spool.read(self.rng.choice((1, 20_000, 10**9)), 1000, newest=newest)
        if batch is None:
            return
        assert list(batch.lines) == [line for line in self.model.lines if line in set(batch.lines)]
        dead = [DeadLetter(line, 400, "no") for line in batch.lines if self.rng.random() < 0.1]
        self.spool.settle(batch.rows, len(batch.lines) - len(dead), dead)
        self.model.settle(list(batch.lines), dead)

    def some_letters(self) -> list[KeptLetter]:
        kept = self.spool.dead_letters(10**9)
        return self.rng.sample(kept, min(len(kept), self.rng.randrange(20)))

    def retry(self) -> None:
        mended = [(letter, letter.letter.line + b"mended") for letter in self.some_letters()]
        self.spool.retry(mended)
        self.model.retry([kept.letter for kept, _ in mended], [line for _, line in mended])

    def drop(self) -> None:
        letters = self.some_letters()
        self.spool.drop(letters)
        self.model.drop([kept.letter for kept in letters])

    def unpin(self) -> None:
        name = self.rng.choice("abc")
        assert self.spool.unpin("m", name) == (self.model.pins.pop(("m", name), None) is not None)

    def reopen(self) -> None:
        self.spool.close()
        self.spool = self.platform.open(boot=self.boot)

    def crash(self) -> None:
        self.crashes += 1
        self.platform.crash()
        self.spool = self.platform.open(boot=self.boot)

    def start_again(self) -> None:
        """The machine, not only the gateway."""
        self.boot = str(int(self.boot) + 1)
        self.crash()

    def release(self) -> None:
        while self.spool.held():
            self.spool.release(held_lines.NOON)
        self.model.release(self.boot)

    def check(self) -> None:
        """After each step: all that can be asked of the spool."""
        model, totals = self.model, self.spool.totals()
        assert read_all(self.spool) == model.lines
        assert totals == model.totals
        assert totals.spooled + totals.retried == (
            totals.delivered + totals.dead + totals.evicted + totals.corrupt + totals.pending
        )
        assert self.spool.held() == len(model.held)
        pending = [*model.lines, *(line for _, line in model.held)]
        assert self.spool.pending_bytes() == sum(len(line) + 1 for line in pending)
        assert {(p.measurement, p.field): p.is_text for p in self.spool.pins()} == model.pins
        assert {s: self.spool.seen(s) for s in "xy"} == {s: model.seen.get(s, []) for s in "xy"}
        kept = self.spool.dead_letters(10**9)
        assert [k.letter for k in reversed(kept)] == model.dead
        sizes = sum(letter.size for letter in kept)
        assert self.spool.letter_counts() == (len(kept), sizes, model.dropped, 0)
        assert totals.dead == len(kept) + totals.retried + model.dropped
        assert self.spool.warnings == []


def read_all(spool: TestedSpool) -> list[bytes]:
    """Everything the spool would deliver, without taking it."""
    lines: list[bytes] = []
    taken = spool._taken.copy()
    spool._taken.clear()
    while batch := spool.read(30_000, 150, newest=False):
        assert batch.size == sum(len(line) + 1 for line in batch.lines)
        lines += batch.lines
    spool._taken.clear()
    spool._taken.update(taken)
    return lines


@pytest.mark.parametrize("seed", range(3))
def test_the_spool_does_what_its_model_does(platform: Platform, seed: int) -> None:
    rng = random.Random(seed)
    trial = Trial(rng, platform)
    actions = [
        *[trial.commit] * 4,
        *[trial.settle] * 6,
        *[trial.crash] * 2,
        trial.commit_on_a_full_disk,
        trial.reopen,
        trial.unpin,
        trial.retry,
        trial.drop,
        trial.release,
        trial.start_again,
    ]
    for _ in range(STEPS):
        rng.choice(actions)()
        trial.check()
    assert trial.model.totals.delivered > 1000
    assert trial.model.totals.retried > 10
    assert trial.crashes > 10


def test_the_limit_holds_and_there_is_room_again_when_all_is_drained(platform: Platform) -> None:
    max_bytes = 16 * 2**20
    spool = platform.open(max_bytes=max_bytes)
    group_bytes = spool.group_bytes_max
    assert spool.pressure() < 0
    while spool.pressure() < 1:
        spool.commit(Group(rows=[b"x" * 1023] * (group_bytes // 1024)))
        assert spool.pending_bytes() <= max_bytes
    assert spool.pending_bytes() > max_bytes // 2
    spool.close()
    spool = platform.open(max_bytes=max_bytes)
    assert spool.pressure() >= 1
    while batch := spool.read(group_bytes, 10_000, newest=False):
        spool.settle(batch.rows, len(batch.lines), [])
    assert spool.pressure() < -0.5


def test_the_oldest_droppable_rows_go_when_new_ones_come(platform: Platform) -> None:
    spool = platform.open(max_bytes=2**20)
    kept = [b"kept %d" % number + b"x" * 1000 for number in range(100)]
    spool.commit(Group(rows=kept))
    came = [b"%d " % number + b"x" * 1000 for number in range(3000)]
    for start in range(0, len(came), 30):
        spool.commit(Group(droppable=came[start : start + 30]))
        assert spool.pending_bytes() <= 2**20
    lines, totals = read_all(spool), spool.totals()
    assert lines[:100] == kept
    assert lines[100:] == came[-len(lines) + 100 :]
    assert 200 < len(lines) < 1000
    assert totals == Totals(spooled=3100, evicted=3100 - len(lines), pending=len(lines))


def test_what_was_read_is_neither_read_again_nor_evicted(platform: Platform) -> None:
    spool = platform.open(max_bytes=2**20)
    spool.commit(Group(droppable=[b"first"]))
    oldest = spool.read(1, 1, newest=False)
    assert oldest is not None
    for _ in range(100):
        spool.commit(Group(droppable=[b"x" * 1000] * 30))
    newest = spool.read(1, 1, newest=True)
    assert newest is not None
    assert newest.rows > oldest.rows
    spool.settle(oldest.rows, 1, [])
    assert spool.totals().delivered == 1
    assert spool.totals().evicted > 1000


def test_there_is_no_room_where_the_disk_has_too_little_of_it(platform: Platform) -> None:
    assert platform.open(min_free=0).pressure() < 0
    assert platform.open(min_free=2**60).pressure() == math.inf


@pytest.mark.parametrize("dead", [0, 1])
def test_settling_what_was_settled_is_refused(platform: Platform, dead: int) -> None:
    spool = platform.open()
    spool.commit(Group(rows=[b"m v=1 1", b"m v=2 2"]))
    batch = spool.read(10**6, 10, newest=False)
    assert batch is not None
    letters = [DeadLetter(line, 400, "no") for line in batch.lines[:dead]]
    with pytest.raises(ValueError, match="lines to settle"):
        spool.settle(batch.rows, 1 - dead, letters)
    spool.settle(batch.rows, 2 - dead, letters)
    with pytest.raises(ValueError, match="rows to settle are not there"):
        spool.settle(batch.rows, 2 - dead, letters)
    assert spool.totals() == Totals(spooled=2, delivered=2 - dead, dead=dead)


def test_a_line_longer_than_a_row_has_one_to_itself(platform: Platform) -> None:
    spool = platform.open()
    lines = [b"a" * 10, b"b" * (ROW_BYTES + 1), b"c" * 10]
    spool.commit(Group(rows=lines))
    assert read_all(spool) == lines
    first = spool.read(1, 10, newest=False)
    assert first is not None
    assert first.lines == lines[:1]

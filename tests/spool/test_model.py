"""Random actions against the spool and a list: same lines, same counts, whatever happens between.

The model is what the spool promises, as plainly as it can be said; a crash is a copy of the files
at any instant between calls, and a full disk is a page limit.
"""

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.model import DeadLetter, Group, Pin, Totals
from gateway.spool.database import SEEN_MAX
from gateway.spool.letters import KeptLetter
from tests.spool.conftest import OpenSpool
from tests.spool.test_store import read_all

STEPS = 250


@dataclass
class Model:
    """The spool as lists."""

    lines: list[bytes] = field(default_factory=list)
    totals: Totals = field(default_factory=Totals)
    pins: dict[tuple[str, str], bool] = field(default_factory=dict)
    seen: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    dropped: int = 0

    def commit(self, group: Group[bytes]) -> None:
        self.lines += group.rows
        self.totals.spooled += len(group.rows)
        self.totals.pending += len(group.rows)
        self.pins |= {(pin.measurement, pin.field): pin.is_text for pin in group.pins}
        for session in group.forget:
            self.seen.pop(session, None)
        for session, pairs in group.seen.items():
            self.seen[session] = (self.seen.get(session, []) + pairs)[-SEEN_MAX:]

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

    def __init__(self, rng: random.Random, open_spool: OpenSpool, directory: Path) -> None:
        self.rng, self.open_spool, self.directory = rng, open_spool, directory
        self.model = Model()
        self.written = self.crashes = 0
        self.spool = open_spool(directory / "0" / "spool.db")

    def group(self) -> Group[bytes]:
        rows = []
        for _ in range(self.rng.choice((0, 1, 10, 300))):
            self.written += 1
            rows.append(b"m v=%d " % self.written + b"x" * self.rng.randrange(600))
        numbers = [self.rng.randrange(65536) for _ in range(self.rng.choice((0, 1, 20, 4000)))]
        return Group(
            rows=rows,
            pins=[Pin("m", self.rng.choice("abc"), self.rng.random() < 0.5)],
            seen={self.rng.choice("xy"): [(n, self.rng.randbytes(8)) for n in numbers]},
            forget={"x"} if self.rng.random() < 0.1 else set(),
        )

    def commit(self) -> None:
        group = self.group()
        self.spool.commit(group)
        self.model.commit(group)

    def commit_on_a_full_disk(self) -> None:
        group = self.group()
        with self.spool._open() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages}")
        try:
            self.spool.commit(group)
        except StoreError:
            self.check()
        else:  # it fitted into free pages
            self.model.commit(group)
            group = Group()
        finally:
            with self.spool._open() as db:
                db.execute(f"PRAGMA max_page_count = {2**30}")
        self.spool.commit(group)
        self.model.commit(group)

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
        self.spool = self.open_spool(self.spool.path)

    def crash(self) -> None:
        self.crashes += 1
        copy = self.directory / str(self.crashes)
        shutil.copytree(self.spool.path.parent, copy, ignore=shutil.ignore_patterns("*-shm"))
        self.spool.close()
        shutil.rmtree(self.spool.path.parent)
        self.spool = self.open_spool(copy / "spool.db")

    def check(self) -> None:
        """After each step: all that can be asked of the spool."""
        model, totals = self.model, self.spool.totals()
        assert read_all(self.spool) == model.lines
        assert totals == model.totals
        assert totals.spooled + totals.retried == (
            totals.delivered + totals.dead + totals.evicted + totals.corrupt + totals.pending
        )
        assert self.spool.pending_bytes() == sum(len(line) + 1 for line in model.lines)
        assert {(p.measurement, p.field): p.is_text for p in self.spool.pins()} == model.pins
        assert {s: self.spool.seen(s) for s in "xy"} == {s: model.seen.get(s, []) for s in "xy"}
        kept = self.spool.dead_letters(10**9)
        assert [k.letter for k in reversed(kept)] == model.dead
        sizes = sum(letter.size for letter in kept)
        assert self.spool.letter_counts() == (len(kept), sizes, model.dropped, 0)
        assert totals.dead == len(kept) + totals.retried + model.dropped
        assert self.spool.warnings == []


@pytest.mark.parametrize("seed", range(3))
def test_the_spool_does_what_its_model_does(
    open_spool: OpenSpool, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    trial = Trial(rng, open_spool, tmp_path)
    actions = [
        *[trial.commit] * 4,
        *[trial.settle] * 6,
        *[trial.crash] * 2,
        trial.commit_on_a_full_disk,
        trial.reopen,
        trial.unpin,
        trial.retry,
        trial.drop,
    ]
    for _ in range(STEPS):
        rng.choice(actions)()
        trial.check()
    assert trial.model.totals.delivered > 1000
    assert trial.model.totals.retried > 10
    assert trial.crashes > 10

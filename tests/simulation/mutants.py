"""The gateway with one thing wrong: proof that the simulation can fail.

Each mutant is a few lines in place of a function. They are named after what a careless change could
do, and `test_mutants.py` shows that an invariant catches each of them within a few seeds.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from gateway import delivery
from gateway.admission import Inlet
from gateway.committer import Committer, _Pending
from gateway.delivery import Delivery, Lines, State
from gateway.errors import StoreError
from gateway.intake import MqttIntake
from gateway.model import (
    Batch,
    DeadLetter,
    Delivered,
    FieldValue,
    Frame,
    Group,
    Reading,
    Receipt,
    Refused,
)
from gateway.normalize import Normalizer
from gateway.redelivery import Ring
from gateway.series import SeriesHistory
from tests.simulation.brokers import BrokerSite, Connection
from tests.simulation.spool import MemorySpool

Mutant = Callable[[], AbstractContextManager[None]]

MUTANTS: dict[str, Mutant] = {}


def mutant(make: Callable[[], Iterator[None]]) -> Mutant:
    made = contextmanager(make)
    MUTANTS[make.__name__.replace("_", "-")] = made
    return made


@mutant
def acknowledge_before_commit() -> Iterator[None]:
    def acknowledge_now(_: Committer[bytes], connection: Connection, identifier: int) -> None:
        connection.acknowledge([identifier])

    with patch.object(Committer, "acknowledge_later", acknowledge_now):
        yield


@mutant
def acknowledge_on_a_newer_connection() -> Iterator[None]:
    opened, settle = MqttIntake.opened, Committer._settle
    newest: dict[BrokerSite, Connection] = {}

    def note_newest(self: MqttIntake, connection: Connection) -> None:
        opened(self, connection)
        newest[connection.site] = connection

    def redirect(self: Committer[bytes], pending: _Pending[bytes]) -> None:
        old, pending.acknowledgements = pending.acknowledgements, {}
        for connection, identifiers in old.items():
            target = newest[connection.site]  # type: ignore[attr-defined]
            pending.acknowledgements.setdefault(target, []).extend(identifiers)
        settle(self, pending)

    with (
        patch.object(MqttIntake, "opened", note_newest),
        patch.object(Committer, "_settle", redirect),
        patch.object(Committer, "abandon", lambda *_: None),
    ):
        yield


@mutant
def skip_the_redelivery_check() -> Iterator[None]:
    with patch.object(Ring, "knows", lambda *_: False):
        yield


@mutant
def keep_the_ring_of_a_lost_session() -> Iterator[None]:
    opened = MqttIntake.opened

    def as_if_present(self: MqttIntake, connection: Connection) -> None:
        present, connection.session_present = connection.session_present, True
        opened(self, connection)
        connection.session_present = present

    with patch.object(MqttIntake, "opened", as_if_present):
        yield


@mutant
def drop_on_400() -> Iterator[None]:
    write = Delivery._write

    async def give_up(self: Delivery, lines: Lines) -> Receipt:
        receipt = await write(self, lines)
        return Delivered() if isinstance(receipt, Refused) else receipt

    with patch.object(Delivery, "_write", give_up):
        yield


@mutant
def settle_before_delivery() -> Iterator[None]:
    deliver, settle = Delivery._deliver, Delivery._settle

    async def settled(self: Delivery, batch: Batch, dead: Sequence[DeadLetter]) -> None:
        """It was settled when it was read."""

    read = Delivery._read

    async def read_and_settle(self: Delivery, *, newest: bool) -> Batch | None:
        batch = await read(self, newest=newest)
        if batch:
            await settle(self, batch, [])
        return batch

    async def without_dead(self: Delivery, lines: Lines) -> list[DeadLetter]:
        await deliver(self, lines)
        return []

    with (
        patch.object(Delivery, "_settle", settled),
        patch.object(Delivery, "_read", read_and_settle),
        patch.object(Delivery, "_deliver", without_dead),
    ):
        yield


@mutant
def forget_a_part_of_a_batch() -> Iterator[None]:
    apart = delivery._apart

    with patch.object(delivery, "_apart", lambda *found: apart(*found)[-1:]):
        yield


@mutant
def deliver_under_another_time() -> Iterator[None]:
    write = Delivery._write

    async def late(self: Delivery, lines: Lines) -> Receipt:
        return await write(self, [*lines[:-1], lines[-1][:-1] + b"7"])

    with patch.object(Delivery, "_write", late):
        yield


@mutant
def give_up_after_ten_tries() -> Iterator[None]:
    wait = Delivery._wait

    class GaveUpError(Exception):
        pass

    def count(self: Delivery, state: State, problem: str) -> None:
        self.tries = getattr(self, "tries", 0) + 1  # type: ignore[attr-defined]
        wait(self, state, problem)
        if self.tries > 10:  # type: ignore[attr-defined]
            self.tries = 0  # type: ignore[attr-defined]
            raise GaveUpError

    write = Delivery._write

    async def give_up(self: Delivery, lines: Lines) -> Receipt:
        try:
            return await write(self, lines)
        except GaveUpError:
            return Delivered()

    with patch.object(Delivery, "_wait", count), patch.object(Delivery, "_write", give_up):
        yield


@mutant
def lose_what_the_disk_refused() -> Iterator[None]:
    commit = MemorySpool.commit

    def try_once(self: MemorySpool, group: Group[bytes]) -> None:
        try:
            commit(self, group)
        except StoreError:
            group.rows.clear()
            raise

    with patch.object(MemorySpool, "commit", try_once):
        yield


@mutant
def drop_zeros() -> Iterator[None]:
    fields = Normalizer._fields

    def truthy(
        self: Normalizer, history: SeriesHistory, reading: Reading, frame: Frame
    ) -> dict[str, FieldValue]:
        found = fields(self, history, reading, frame)
        return {name: value for name, value in found.items() if value}

    with patch.object(Normalizer, "_fields", truthy):
        yield


@mutant
def hurry_for_room() -> Iterator[None]:
    """Once a real one."""

    async def ready(self: Committer[bytes], inlet: Inlet) -> None:
        while inlet.size or self.admission.blocks(inlet):
            self.hurry()
            await self._changed.wait()

    with patch.object(Committer, "ready", ready):
        yield

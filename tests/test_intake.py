"""The way in: counts, acknowledgements, redeliveries, and one source kept from another."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from random import Random
from typing import cast

import pytest

from gateway.backoff import Backoff
from gateway.errors import TransportError
from gateway.framing.delimited import Lines
from gateway.intake import (
    TOPIC_MAX,
    MqttIntake,
    StreamIntake,
    Subscription,
    supervise,
)
from gateway.ledger import Stage
from gateway.model import (
    Decoded,
    Decoder,
    Frame,
    Framed,
    Framer,
    Ignored,
    Learned,
    Malformed,
    Noise,
    Reading,
    Reason,
    Verdict,
)
from gateway.normalize import Normalizer
from gateway.pipeline import Pipeline
from gateway.series import SeriesRegistry
from gateway.topics import Router, TopicPattern
from gateway.transports.mqtt_packets import Message
from tests.fakes import NOON, Rig, Wire

OTHERS: dict[bytes, Verdict] = {
    b"learned": Learned(),
    b"nonsense": cast("Verdict", "nonsense"),
    b"no value": Decoded([Reading({"x": cast("float", [])}), Reading({"x": 1.0})]),
}


class Numbers(Decoder):
    """Frames of numbers; anything else as its first letter says."""

    def decode(self, frame: Frame) -> Verdict:
        match frame.data[:1]:
            case b"m":
                return Malformed(Reason.SYNTAX)
            case b"i":
                return Ignored(Reason.FIRST_LINE)
            case b"!":
                raise RuntimeError("a bug")
            case b"t":
                return Decoded([Reading({"x": 1.0}, observed_at_ns=NOON - int(frame.data[1:]))])
            case b"p":
                return Decoded([Reading({"x": 1.0})], [Malformed(Reason.SYNTAX, b"part")])
        if frame.data in OTHERS:
            return OTHERS[frame.data]
        return Decoded([Reading({"x": float(frame.data)})])


def pipeline(rig: Rig, source: str, registry: SeriesRegistry | None = None) -> Pipeline:
    account = rig.ledger.accounts[source]
    normalizer = Normalizer(
        account=account,
        ledger=rig.ledger,
        catalogue=rig.catalogue,
        registry=registry or SeriesRegistry(),
        device=source,
        tags={},
        rules={},
    )
    return Pipeline(account, rig.ledger, Numbers(), normalizer)


class Serial(Rig):
    """A port's intake."""

    def __init__(self, framer: Framer | None = None) -> None:
        super().__init__()
        self.intake = StreamIntake(
            self.account,
            self.ledger,
            framer or Lines(),
            pipeline(self, "mast"),
            self.committer,
            lambda: NOON,
        )


async def test_every_byte_and_frame_of_a_stream_is_accounted_for() -> None:
    rig = Serial()
    rig.intake.opened()
    stream = b"1\n2\nmalformed\nignored\nlearned\npart\n\xff\xfe\x00\n!bug\n3\nhalf a li"
    for position in range(0, len(stream), 3):
        rig.intake.receive(stream[position : position + 3])
        assert rig.balanced()
    account = rig.account
    assert account.bytes_received == len(stream)
    assert account.bytes_buffered == len(b"half a li")
    assert (account.decoded, account.malformed, account.ignored, account.state) == (4, 2, 1, 1)
    assert account.malformed_elements == 1
    assert account.observations == 4
    assert rig.ledger.losses["mast", Stage.MALFORMED, Reason.DECODER_FAILED].example == "!bug"
    rig.intake.flush()
    assert account.bytes_buffered == 0
    assert rig.ledger.losses["mast", Stage.NOISE, Reason.INTERRUPTED].count == len(b"half a li")
    assert rig.balanced()


class Fragile(Lines):
    """Raises on a certain byte, and would never recover."""

    def __init__(self) -> None:
        super().__init__()
        self._broken = False

    def feed(self, data: bytes) -> Sequence[Framed | Noise]:
        self._broken |= b"\x07" in data
        if self._broken:
            raise LookupError("a bug")
        return super().feed(data)


async def test_a_framer_that_raises_costs_only_what_it_had() -> None:
    rig = Serial(Fragile())
    for chunk in (b"1\n2", b"\x07", b"3\n4\n"):
        rig.intake.receive(chunk)
        assert rig.balanced()
    rig.intake.flush()
    assert rig.account.decoded == 3
    assert rig.ledger.losses["mast", Stage.NOISE, Reason.DECODER_FAILED].count == 2
    assert rig.balanced()


async def test_a_decoder_that_returns_nonsense_costs_only_its_own_frames() -> None:
    rig = Serial()
    rig.intake.receive(b"nonsense\nno value\n1\n")
    assert rig.account.observations == 2
    assert rig.ledger.losses["mast", Stage.MALFORMED, Reason.DECODER_FAILED].count == 1
    assert rig.ledger.losses["mast", Stage.IMPLAUSIBLE, Reason.DECODER_FAILED].count == 1
    assert rig.balanced()


async def test_whose_time_an_observation_carries_is_counted() -> None:
    rig = Serial()
    rig.intake.receive(b"t5\nt7\nt999999999999999999\n1\n")
    assert (rig.account.observations, rig.account.device_times) == (4, 2)


class Mqtt(Rig):
    """A broker's intake with one subscription, `s/{device}`."""

    def __init__(self, *, retained: bool = False, seen: Sequence[tuple[int, bytes]] = ()) -> None:
        super().__init__()
        self.account = self.ledger.account("home", "mqtt")
        self.wire = Wire()
        self.registry = SeriesRegistry()
        router = Router(
            [
                (
                    TopicPattern.parse("s/{device}"),
                    Subscription(pipeline(self, "home", self.registry), retained=retained),
                )
            ]
        )
        self.intake = MqttIntake(
            self.account,
            self.ledger,
            router,
            self.committer,
            lambda: NOON,
            session="session",
            seen=seen,
            window=20,
        )
        self.identifiers: Iterator[int] = iter(range(1, 100_000))

    def receive(
        self,
        payload: bytes = b"1",
        *,
        topic: str = "s/a",
        qos: int = 1,
        identifier: int = 0,
        duplicate: bool = False,
        retain: bool = False,
    ) -> None:
        number = identifier or next(self.identifiers)
        self.intake.receive(self.wire, Message(topic, payload, qos, retain, duplicate, number))

    async def commit(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.committer.run())
            self.committer.stop()


async def test_every_message_is_acknowledged_after_the_commit_whatever_became_of_it() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.receive(b"1")
    rig.receive(b"malformed")
    rig.receive(b"!bug")
    rig.receive(b"1", topic="elsewhere")
    rig.receive(b"1", retain=True)
    rig.receive(b"1", qos=0)
    assert rig.wire.acknowledged == []
    await rig.commit()
    assert rig.wire.acknowledged == [1, 2, 3, 4, 5]
    assert rig.account.spooled == 2
    reasons = {reason for (_, _, reason) in rig.ledger.losses}
    assert reasons == {Reason.SYNTAX, Reason.DECODER_FAILED, Reason.UNROUTED, Reason.RETAINED}
    assert rig.balanced()


async def test_a_message_too_long_for_memory_is_counted_and_acknowledged() -> None:
    rig = Mqtt()
    rig.intake.receive(rig.wire, Message("s/a", b"", 1, False, False, 7, skipped=10**9))  # noqa: FBT003
    await rig.commit()
    assert rig.wire.acknowledged == [7]
    assert rig.ledger.losses["home", Stage.MALFORMED, Reason.TOO_LARGE].count == 1
    assert rig.balanced()


async def test_retained_messages_are_taken_where_they_are_wanted() -> None:
    rig = Mqtt(retained=True)
    rig.receive(b"1", retain=True)
    assert rig.account.observations == 1


async def test_a_redelivery_is_one_point_also_after_a_restart() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.receive(b"1", identifier=7)
    rig.receive(b"1", identifier=7, duplicate=True)
    await rig.commit()
    assert rig.wire.acknowledged == [7, 7]
    assert rig.account.spooled == 1
    restarted = Mqtt(seen=rig.disk.groups[0].seen["session"])
    restarted.intake.opened(restarted.wire)
    restarted.receive(b"1", identifier=7, duplicate=True)
    assert restarted.account.observations == 0
    assert restarted.account.repeated_frames == 1
    assert restarted.balanced()


@pytest.mark.parametrize(
    ("payload", "identifier", "duplicate"),
    [(b"2", 7, True), (b"1", 8, True), (b"1", 7, False)],
    ids=["another payload", "another identifier", "not marked as a duplicate"],
)
async def test_a_new_message_is_never_taken_for_a_redelivery(
    payload: bytes, identifier: int, *, duplicate: bool
) -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.receive(b"1", identifier=7)
    rig.receive(payload, identifier=identifier, duplicate=duplicate)
    assert rig.account.observations == 2


async def test_identifiers_mean_nothing_once_the_broker_lost_the_session() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.receive(b"1", identifier=7)
    rig.wire.session_present = False
    rig.intake.opened(rig.wire)
    rig.receive(b"1", identifier=7, duplicate=True)
    assert rig.account.observations == 2
    await rig.commit()
    assert rig.disk.groups[0].forget == {"session"}


async def test_a_new_session_gets_messages_only_once_the_old_one_is_forgotten_on_disk() -> None:
    """Else a crash brings them back, and some may look like messages of the old one."""
    rig = Mqtt()
    rig.wire.session_present = False
    rig.intake.opened(rig.wire)
    assert rig.committer._due.is_set()
    assert not rig.wire.subscribed
    await rig.commit()
    assert rig.disk.groups[0].forget == {"session"}
    assert rig.wire.subscribed


async def test_acknowledgements_of_an_ended_connection_are_not_gathered() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.receive(b"1", identifier=7)
    again = Wire()
    rig.intake.opened(again)
    rig.intake.receive(again, Message("s/a", b"1", 1, False, True, 7))  # noqa: FBT003
    assert list(rig.committer._pending.acknowledgements) == [again]
    await rig.commit()
    assert again.acknowledged == [7]
    assert rig.account.spooled == 1


async def test_a_topic_too_long_to_be_remembered_is_counted_and_acknowledged() -> None:
    rig = Mqtt()
    rig.receive(b"1", topic="s/" + "x" * TOPIC_MAX)
    await rig.commit()
    assert rig.wire.acknowledged == [1]
    assert rig.ledger.losses["home", Stage.MALFORMED, Reason.TOO_LONG].count == 1
    assert rig.balanced()


async def test_half_a_window_of_waiting_messages_is_committed_at_once() -> None:
    rig = Mqtt()
    rig.wire.unacknowledged_messages = 9
    rig.receive()
    assert not rig.committer._due.is_set()
    rig.wire.unacknowledged_messages = 10
    rig.receive()
    assert rig.committer._due.is_set()


async def test_while_there_is_no_room_messages_stay_with_the_broker() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.committer.problem = rig.committer.admission.yield_to(1.0, "full")
    assert rig.wire.left == ["full"]
    late = rig.wire = Wire()  # it was under way when the room ran out
    rig.intake.opened(late)
    rig.receive(b"1")
    assert late.left == ["full"], "the broker brings back what was not taken to another one only"
    await rig.commit()
    assert rig.wire.acknowledged == []
    assert rig.account.frames == 0
    assert rig.account.shed == 0
    assert rig.balanced()


async def test_what_was_shed_is_no_repetition_when_the_device_says_it_again() -> None:
    rig = Mqtt()
    rig.intake.opened(rig.wire)
    rig.committer.on_shed.append(rig.registry.forget)
    rig.committer.admission.yield_to(math.inf, "full")
    rig.receive(b"t5", qos=0)
    assert rig.account.shed == 1
    rig.committer.admission.yield_to(-1.0, "")
    rig.receive(b"t5")
    rig.receive(b"t5")
    await rig.commit()
    assert len(rig.disk.rows()) == 1
    assert (rig.account.spooled, rig.account.repeated) == (1, 1)
    assert rig.wire.acknowledged == [2, 3]
    assert rig.balanced()


async def test_a_source_is_connected_again_whatever_ended_it_and_says_why() -> None:
    rig = Rig()
    attempts = 0
    done = asyncio.Event()

    async def run() -> None:
        nonlocal attempts
        attempts += 1
        match attempts:
            case 1:
                raise TransportError("unplugged")
            case 2:
                assert rig.account.problem == "unplugged"
                raise KeyError("a bug")
            case 3:
                assert "a bug" in rig.account.problem
                done.set()
        await asyncio.Event().wait()

    allowed = asyncio.Event()

    async def ready() -> None:
        await allowed.wait()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            supervise(rig.account, run, backoff=Backoff(0, 0, Random(1)), ready=ready)
        )
        await asyncio.sleep(0)
        assert attempts == 0
        allowed.set()
        await asyncio.wait_for(done.wait(), 5)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert not rig.account.connected

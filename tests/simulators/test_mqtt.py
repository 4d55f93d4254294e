"""The publisher: nothing assured is ever lost, and the rest is honestly called so."""

import asyncio
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from simulators.mqtt import Address, Part, Publisher, forget, play
from simulators.pace import Pace
from simulators.script import Sent, Step
from simulators.tally import Account, Tally
from tests.simulators.broker import Broker, Subscriber, needs_mosquitto
from tests.simulators.ports import until

NOWHERE = Address("127.0.0.1", 1)


class Jumping(Pace):
    """A clock that is never waited for."""

    def __init__(self, end: float = 1e9) -> None:
        super().__init__()
        self._now, self._end = 100.0, end

    def now(self) -> float:
        return self._now

    async def until(self, when: float) -> bool:
        self._now = max(self._now, when)
        return self._now < self._end


class Paper:
    """Writes down what would be published, and when."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.lines: list[tuple[float, bytes]] = []

    def publish(self, _account: Account, step: Step, *, qos: int, retain: bool) -> None:
        assert (qos, retain) == (1, False)
        self.lines.append((self._pace.now() - 100.0, step.data))

    def flush(self) -> None:
        pass


class Rig:
    """A publisher with its tally and record."""

    def __init__(self, address: Address) -> None:
        self._record = io.StringIO()
        tally = Tally(self._record)
        self.pace = Pace()
        self.account = tally.open("mqtt", "test")
        self.publisher = Publisher(address, tally, self.pace, "test-publisher")

    def publish(self, *numbers: int, qos: int = 1) -> None:
        for n in numbers:
            step = Step(0.0, b"%d" % n, "test/topic", (Sent(n, {"n": n}),))
            self.publisher.publish(self.account, step, qos=qos, retain=False)
        self.publisher.flush()

    def record(self) -> list[tuple[object, object]]:
        lines = map(json.loads, self._record.getvalue().splitlines())
        return [(line["sequence"], line.get("fault")) for line in lines]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtt://pi", Address("pi", 1883)),
        ("mqtt://pi:1/", Address("pi", 1)),
        ("mqtt://me:a%40b@[::1]:7", Address("::1", 7, "me", "a@b")),
    ],
)
def test_an_address_is_read(url: str, address: Address) -> None:
    assert Address.parse(url) == address


@pytest.mark.parametrize("url", ["", "pi", "mqtts://pi", "mqtt://", "mqtt://pi/x", "mqtt://pi:x"])
def test_a_wrong_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"mqtt://|[Pp]ort"):
        Address.parse(url)


async def test_devices_take_turns_by_their_instants() -> None:
    pace = Jumping()
    paper = Paper(pace)
    account = Account("mqtt", "x")
    steps = {name: [Step(at, name) for at in times] for name, times in
             {b"a": (0.5, 1.5, 1.5), b"b": (1.0, 0.2, 2.0), b"c": ()}.items()}  # fmt: skip
    await play([Part(account, each, 1, retain=False) for each in steps.values()], paper, pace)
    assert [name for _, name in paper.lines] == [b"a", b"b", b"b", b"a", b"a", b"b"]
    assert [at for at, _ in paper.lines] == pytest.approx([0.5, 1.0, 1.0, 1.5, 1.5, 2.0])


async def test_the_end_stops_devices_without_end() -> None:
    pace = Jumping(end=103.5)
    paper = Paper(pace)
    forever = (Step(float(second), b"x") for second in range(1_000_000))
    await play([Part(Account("mqtt", "x"), forever, 1, retain=False)], paper, pace)
    assert len(paper.lines) == 4


async def test_without_a_broker_only_assured_messages_are_kept() -> None:
    rig = Rig(NOWHERE)
    rig.publish(1, 2)
    rig.publish(3, qos=0)
    rig.publish(4)
    assert rig.publisher.outstanding == 3
    assert rig.record() == [(3, "offline")]
    assert await rig.publisher.drained(0.01) == 3
    assert rig.record()[1:] == [(n, "unacknowledged") for n in (1, 2, 4)]
    assert rig.account.acknowledged == 0


async def test_the_queue_is_longer_than_there_are_message_numbers() -> None:
    rig = Rig(NOWHERE)
    rig.publish(*range(70_000))
    assert rig.publisher.outstanding == 70_000


@needs_mosquitto
@pytest.mark.integration
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_every_message_is_counted_and_arrives_once(broker: Broker, qos: int) -> None:
    rig = Rig(Address.parse(broker.url))
    with Subscriber(broker) as subscriber:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.publisher.run())
            await rig.publisher.ready(3.0)
            rig.publish(*range(3000), qos=qos)
            assert await rig.publisher.drained(20.0) == 0
            await until(lambda: len(subscriber.messages) == 3000)
            running.cancel()
    assert [int(payload) for _, payload in subscriber.messages] == list(range(3000))
    assert [n for n, _ in rig.record()] == list(range(3000))
    assert rig.account.acknowledged == (3000 if qos else 0)


@needs_mosquitto
@pytest.mark.integration
async def test_assured_messages_outlive_the_broker(broker: Broker) -> None:
    rig = Rig(Address.parse(broker.url))
    with Subscriber(broker) as subscriber:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.publisher.run())
            await rig.publisher.ready(3.0)
            rig.publish(*range(2500))
            broker.stop()
            rig.publish(*range(2500, 3000))
            await asyncio.sleep(0.1)
            broker.start()
            rig.publish(*range(3000, 3500))
            assert await rig.publisher.drained(20.0) == 0
            await until(lambda: len(subscriber.payloads()) == 3500)
            running.cancel()
    assert sorted(rig.record()) == [(n, None) for n in range(3500)]
    assert set(subscriber.payloads()) == {b"%d" % n for n in range(3500)}
    assert rig.publisher.connections == 2


@needs_mosquitto
@pytest.mark.integration
async def test_the_session_can_be_forgotten(broker: Broker) -> None:
    for expected in (False, True, False):
        rig = Rig(Address.parse(broker.url))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.publisher.run())
            await rig.publisher.ready(3.0)
            rig.publisher.close()
            running.cancel()
        assert rig.publisher.session_present is expected
        if expected:
            await asyncio.to_thread(forget, Address.parse(broker.url), "test-publisher")


async def test_an_unreachable_broker_is_tried_again() -> None:
    rig = Rig(NOWHERE)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(rig.publisher.run())
        await rig.publisher.ready(0.3)
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert rig.publisher.connections == 0

"""What the gateway relies on inside aiomqtt and paho: a new version that changes it fails here.

No network: `_Client` is given the bytes of a broker, and its own are looked at.
"""

import asyncio

import pytest
from paho.mqtt import client as paho

from gateway.transports.mqtt import _Client
from gateway.transports.mqtt_connection import BrokerSettings, Connection, Subscription

KEEPALIVE_S = 60


class Recorder(Connection):
    """A connection that goes nowhere."""

    def __init__(self, settings: BrokerSettings, *, mqtt5: bool) -> None:
        super().__init__(settings, lambda _: None, lambda _, __: None, mqtt5=mqtt5)
        self.written: list[bytes] = []
        self.events: list[str] = []

    def write(self, data: bytes | bytearray) -> None:
        self.written.append(bytes(data))

    def greeted(self, *, session_present: bool) -> None:
        self.events.append(f"greeted, session present: {session_present}")

    def refused(self, reason: str) -> None:
        self.events.append(f"refused: {reason}")

    def dropped(self, reason: str) -> None:
        self.events.append(f"dropped: {reason}")


def make(*, mqtt5: bool) -> tuple[_Client, Recorder]:
    settings = BrokerSettings(
        "broker.invalid",
        1883,
        "id",
        [Subscription("t/#")],
        username="u",
        password="p",
        keepalive_s=KEEPALIVE_S,
        session_expiry_s=7,
        max_unacknowledged_messages=300,
    )
    recorder = Recorder(settings, mqtt5=mqtt5)
    client = _Client(settings, recorder, mqtt5=mqtt5)
    client.connect()
    return client, recorder


async def test_connect_is_written_at_once_and_opens_no_socket() -> None:
    _, recorder = make(mqtt5=True)
    assert b"".join(recorder.written) == (
        b"\x10\x1d\x00\x04MQTT\x05"
        b"\xc0\x00\x3c"  # user and password, no clean start; keep-alive
        b"\x08\x11\x00\x00\x00\x07\x21\x01\x2c"  # session expiry, receive maximum
        b"\x00\x02id\x00\x01u\x00\x01p"
    )


async def test_connect_of_3_1_1_asks_for_its_session() -> None:
    _, recorder = make(mqtt5=False)
    assert recorder.written == [b"\x10\x14\x00\x04MQTT\x04\xc0\x00\x3c\x00\x02id\x00\x01u\x00\x01p"]


@pytest.mark.parametrize(
    ("mqtt5", "answer", "event"),
    [
        (True, b"\x20\x03\x01\x00\x00", "greeted, session present: True"),
        (True, b"\x20\x03\x00\x00\x00", "greeted, session present: False"),
        (False, b"\x20\x02\x01\x00", "greeted, session present: True"),
        (True, b"\x20\x03\x00\x87\x00", "refused: Not authorized"),
        (True, b"\x20\x03\x00\x84\x00", "refused: Unsupported protocol version"),
        (True, b"\x20\x02\x00\x01", "refused: Unsupported protocol version"),  # of 3.1.1
        (False, b"\x20\x02\x00\x04", "refused: Bad user name or password"),
        (False, b"\x20\x02\x00\x01", "dropped: "),
    ],
)
async def test_the_answer_to_connect(*, mqtt5: bool, answer: bytes, event: str) -> None:
    client, recorder = make(mqtt5=mqtt5)
    client.take(answer)
    assert recorder.events[0].startswith(event)


@pytest.fixture
async def accepted() -> tuple[_Client, Recorder]:
    client, recorder = make(mqtt5=True)
    client.take(b"\x20\x03\x00\x00\x00")
    recorder.written.clear()
    recorder.events.clear()
    return client, recorder


async def test_disconnect_is_written_at_once_and_once(accepted: tuple[_Client, Recorder]) -> None:
    client, recorder = accepted
    client.disconnect()
    client.disconnect()
    assert recorder.written == [b"\xe0\x00"]
    client.take(b"\xd0\x00")  # whatever comes afterwards
    client.tick()
    assert recorder.events == [
        "dropped: Normal disconnection"
    ]  # which the connection knows already


async def test_the_broker_says_why_it_disconnects(accepted: tuple[_Client, Recorder]) -> None:
    client, recorder = accepted
    client.take(b"\xe0\x02\x8e\x00")
    assert recorder.events == ["dropped: Session taken over"]


async def test_the_second_half_of_qos_2_is_answered(accepted: tuple[_Client, Recorder]) -> None:
    client, recorder = accepted
    client.take(b"\x62\x02\x12\x34")
    assert recorder.written == [b"\x70\x02\x12\x34"]


async def test_nonsense_ends_the_connection(accepted: tuple[_Client, Recorder]) -> None:
    client, recorder = accepted
    client.take(b"\x00\x00")
    assert [event.partition(":")[0] for event in recorder.events] == ["dropped"]


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(paho, "time_func", time)
    return time


async def test_a_silent_connection_is_tried_and_given_up(
    time: Time, accepted: tuple[_Client, Recorder]
) -> None:
    client, recorder = accepted
    for _ in range(3):
        time.now += KEEPALIVE_S
        client.tick()
        client.tick()
        assert recorder.written == [b"\xc0\x00"]
        recorder.written.clear()
        client.take(b"\xd0\x00")
    assert recorder.events == []
    time.now += KEEPALIVE_S
    client.tick()
    time.now += KEEPALIVE_S
    client.tick()
    assert recorder.events[0] == "dropped: Keep alive timeout"


async def test_a_connection_that_brings_something_is_tried_but_not_given_up(
    time: Time, accepted: tuple[_Client, Recorder]
) -> None:
    client, recorder = accepted
    piece_of_a_long_message = b"\x30\xff\xff\xff\x01"
    for _ in range(5):
        recorder.get_buffer(-1)[: len(piece_of_a_long_message)] = piece_of_a_long_message
        recorder.buffer_updated(len(piece_of_a_long_message))
        time.now += KEEPALIVE_S
        client.tick()
    assert recorder.written == [b"\xc0\x00"] * 5
    assert recorder.events == []
    time.now += KEEPALIVE_S
    client.tick()
    assert recorder.events[0] == "dropped: Keep alive timeout"


@pytest.mark.parametrize(
    ("subscription", "sent"),
    [
        (Subscription("t/#", 1), b"\x82\x09\x00\x01\x00\x00\x03t/#\x21"),
        (Subscription("t/#", 2), b"\x82\x09\x00\x01\x00\x00\x03t/#\x21"),
        (Subscription("t/#", 1, retained=True), b"\x82\x09\x00\x01\x00\x00\x03t/#\x01"),
    ],
)
@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (b"\x01", ""),
        (b"\x00", "QoS 0"),
        (b"\x87", "Not authorized"),
        (b"\x80", "refuses"),
    ],
)
async def test_subscribe(
    accepted: tuple[_Client, Recorder],
    subscription: Subscription,
    sent: bytes,
    code: bytes,
    problem: str,
) -> None:
    client, recorder = accepted
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(client.subscribe(subscription))
        await asyncio.sleep(0)
        assert recorder.written == [sent]
        client.take(b"\x90\x04\x00\x01\x00" + code)
    assert bool(waiting.result()) == bool(problem)
    assert problem in waiting.result()


async def test_unsubscribe(accepted: tuple[_Client, Recorder]) -> None:
    client, recorder = accepted
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.unsubscribe("t/#"))
        await asyncio.sleep(0)
        assert recorder.written == [b"\xa2\x08\x00\x01\x00\x00\x03t/#"]
        client.take(b"\xb0\x04\x00\x01\x00\x11")

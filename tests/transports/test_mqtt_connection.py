"""One connection's life against a scripted broker: what no well-behaved one would show."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import TransportError
from gateway.transports.mqtt import BrokerSettings, Message, MqttState, MqttTransport, Subscription
from gateway.transports.mqtt_connection import READ_BYTES
from tests.transports.mqtt_peer import CONNACK_5, FORBIDDEN, Consumer, ScriptedBroker, until


def publish(identifier: int, payload: bytes = b"1", qos: int = 1) -> bytes:
    body = b"\x00\x01t" + (identifier.to_bytes(2, "big") if qos else b"") + b"\x00" + payload
    return bytes([0x30 | qos << 1, len(body)]) + body


def transport_to(
    port: int,
    folder: Path,
    **settings: Any,  # noqa: ANN401 -- any of BrokerSettings
) -> MqttTransport:
    usual: dict[str, Any] = {
        "protocol": "5",
        "connect_timeout_s": 5.0,
        "subscriptions": [Subscription("t/#")],
    }
    return MqttTransport(
        "test", BrokerSettings("127.0.0.1", port, "id", **(usual | settings)), MqttState(folder)
    )


async def test_messages_that_come_with_the_greeting_are_not_lost(tmp_path: Path) -> None:
    consumer = Consumer()
    async with ScriptedBroker([CONNACK_5 + publish(1) + publish(2)]).serving() as broker:
        async with consumer.running(transport_to(broker.port, tmp_path)) as connection:
            assert [message.identifier for message in consumer.messages] == [1, 2]
            assert connection.alive
            assert connection.unacknowledged_messages == 2
            assert connection.unacknowledged_bytes == 2
        assert not connection.alive


async def test_acknowledgements_go_out_once_each_and_none_after_the_end(tmp_path: Path) -> None:
    consumer = Consumer()
    script = CONNACK_5 + publish(1) + publish(2) + publish(0, qos=0) + publish(515, qos=2)
    async with ScriptedBroker([script]).serving() as broker:
        async with consumer.running(transport_to(broker.port, tmp_path)) as connection:
            connection.acknowledge([2, 2, 0, 77, 515])
            await until(lambda: broker.received[0].endswith(b"\x40\x02\x00\x02\x50\x02\x02\x03"))
            assert connection.unacknowledged_messages == 1
        connection.acknowledge([1])
    assert b"\x40\x02\x00\x01" not in broker.received[0]
    assert broker.received[0].endswith(b"\xe0\x00"), "it says goodbye"


@pytest.mark.parametrize(
    "limit", [{"max_unacknowledged_messages": 4}, {"max_unacknowledged_bytes": 400}]
)
async def test_beyond_its_limit_it_reads_no_more_until_some_are_acknowledged(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    """To leave would bring all of it back at once, to be left again, for ever."""
    most = acknowledged = 0

    def look(_: Message) -> bool:
        nonlocal most
        most = max(most, consumer.connections[0].unacknowledged_messages)
        return False

    consumer = Consumer(look)
    size, count = 100, 1_000
    messages = b"".join(publish(identifier, b"x" * size) for identifier in range(1, count + 1))
    async with (
        ScriptedBroker([CONNACK_5 + messages]).serving() as broker,
        asyncio.TaskGroup() as tasks,
    ):
        running = tasks.create_task(consumer.run(transport_to(broker.port, tmp_path, **limit)))
        while acknowledged < count:
            await until(consumer.more_than(acknowledged))
            connection = consumer.connections[0]
            connection.resume()  # others have nothing against it
            taken = [message.identifier for message in consumer.messages[acknowledged:]]
            connection.acknowledge(taken)
            acknowledged += len(taken)
        assert len(consumer.connections) == 1
        running.cancel()
    assert [message.identifier for message in consumer.messages] == list(range(1, count + 1))
    assert most <= 4 + READ_BYTES // size, "what one read brings comes on top"


@pytest.mark.parametrize(
    "error", [ValueError("a bug"), OSError("a bug that looks like the network")]
)
@pytest.mark.parametrize("where", ["opened", "receive"])
async def test_a_failure_of_the_flow_ends_the_connection_and_is_not_lost(
    tmp_path: Path, error: Exception, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise error

    def nothing(*_: object) -> None: ...

    calls = {"opened": nothing, "receive": nothing} | {where: fail}
    async with ScriptedBroker([CONNACK_5 + publish(1)]).serving() as broker:
        with pytest.raises(type(error)) as raised:
            await transport_to(broker.port, tmp_path).run(**calls)
    assert raised.value is error


async def test_leaving_is_possible_from_within(tmp_path: Path) -> None:
    consumer = Consumer()
    async with ScriptedBroker([CONNACK_5 + publish(1) + publish(2)]).serving() as broker:
        transport = transport_to(broker.port, tmp_path)
        with pytest.raises(TransportError, match="no room"):
            await transport.run(lambda connection: connection.leave("no room"), consumer.receive)
        with pytest.raises(TransportError, match="enough"):
            await transport.run(consumer.opened, lambda connection, _: connection.leave("enough"))
    assert consumer.messages == []
    assert all(received.endswith(b"\xe0\x00") for received in broker.received)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (b"", "no MQTT broker"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, "no MQTT broker"),
        (publish(1), "does not speak MQTT"),
        (CONNACK_5 + b"\x30\xff\xff\xff\xff\x01", "does not speak MQTT"),
        (CONNACK_5 + b"\x36\x06\x00\x01t\x00\x01\x00", "does not speak MQTT"),
        (b"\x20\x03\x00\x87\x00", "refuses the gateway (no user name): Not authorized"),
        (CONNACK_5 + b"\xe0\x01\x8b", "Server shutting down"),
        (None, "no answer within 0.3 s"),
    ],
)
async def test_why_a_connection_ended_is_said_in_words(
    tmp_path: Path, script: bytes | None, words: str
) -> None:
    async with ScriptedBroker([script]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, connect_timeout_s=0.3)
        assert words in await Consumer().run(transport)


async def test_a_forbidden_topic_does_not_cost_the_others(tmp_path: Path) -> None:
    consumer = Consumer()
    wanted = [Subscription(FORBIDDEN), Subscription("t/#")]
    async with ScriptedBroker([CONNACK_5]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, subscriptions=wanted)
        async with consumer.running(transport) as connection:
            await until(lambda: b"t/#" in broker.received[0])
            (problem,) = connection.problems
            assert FORBIDDEN in problem
            assert "Not authorized" in problem
            assert connection.alive


@pytest.mark.parametrize(
    "answer_to_5",
    [
        b"",  # closes
        b"\x20\x02\x00\x01",  # says no in the words of 3.1.1
        b"\x20\x03\x00\x84\x00",  # says no in those of 5
        None,  # waits for the rest of what it does not understand
    ],
)
async def test_a_broker_that_knows_only_3_1_1_is_spoken_to_in_3_1_1(
    tmp_path: Path, answer_to_5: bytes | None
) -> None:
    consumer = Consumer()
    greeting = b"\x20\x02\x00\x00"
    async with ScriptedBroker([answer_to_5, greeting + b"\x00\x00", greeting]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, protocol="auto", connect_timeout_s=0.3)
        await consumer.run(transport)
        async with consumer.running(transport):
            pass
    assert [received[8] for received in broker.received] == [5, 4, 4], "and it is remembered"


async def test_a_broker_that_only_closed_once_is_spoken_to_in_5_again(tmp_path: Path) -> None:
    consumer = Consumer()
    async with ScriptedBroker([b"", b"", CONNACK_5]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, protocol="auto")
        await consumer.run(transport)
        async with consumer.running(transport):
            pass
    assert [received[8] for received in broker.received] == [5, 4, 5]


async def test_a_wrong_password_is_no_reason_to_try_3_1_1(tmp_path: Path) -> None:
    async with ScriptedBroker([b"\x20\x03\x00\x86\x00"]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, protocol="auto", username="ann")
        why = await Consumer().run(transport)
    assert 'user "ann"' in why
    assert "Bad user name or password" in why
    assert len(broker.received) == 1


async def test_cancelled_while_the_broker_is_silent_it_closes_at_once(tmp_path: Path) -> None:
    async with ScriptedBroker([None]).serving() as broker:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(Consumer().run(transport_to(broker.port, tmp_path)))
            await until(lambda: broker.received and broker.received[0])
            task.cancel()
        await until(lambda: not broker.open)


async def test_an_overlong_message_is_handed_over_without_its_payload(tmp_path: Path) -> None:
    consumer = Consumer()
    script = CONNACK_5 + publish(5, b"x" * 100) + publish(6)
    async with ScriptedBroker([script]).serving() as broker:
        transport = transport_to(broker.port, tmp_path, message_bytes_max=50)
        async with consumer.running(transport):
            await until(lambda: len(consumer.messages) == 2)
    assert consumer.messages == [
        Message("t", b"", 1, retain=False, duplicate=False, identifier=5, skipped=106),
        Message("t", b"1", 1, retain=False, duplicate=False, identifier=6),
    ]

"""A real mosquitto, stopped and killed and restarted: at QoS 1 nothing is lost."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest

from gateway.errors import TransportError
from gateway.transports.mqtt import (
    BrokerSettings,
    Connection,
    MqttState,
    MqttTransport,
    Subscription,
)
from gateway.transports.mqtt_connection import READ_BYTES
from tests.integration.mosquitto import HOST, Mosquitto, running
from tests.transports.mqtt_peer import (
    PATIENCE_S,
    Consumer,
    Protocol,
    numbers,
    open_session,
    publish,
    settings_for,
    until,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with running(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def settings(broker: Mosquitto, protocol: Protocol) -> BrokerSettings:
    return settings_for(broker, protocol)


@pytest.fixture
def state(tmp_path: Path) -> MqttState:
    return MqttState(tmp_path)


async def test_what_was_not_acknowledged_comes_back_and_nothing_else(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    transport = MqttTransport("home", settings, state)
    await open_session(transport)
    await publish(broker, range(10))
    first = Consumer(lambda message: message.payload in (b"0", b"1", b"5"))
    async with first.running(transport) as connection:
        await until(lambda: len(first.messages) == 10)
        assert connection.session_present
        assert not any(message.duplicate for message in first.messages)
    second = Consumer(lambda _: True)
    async with second.running(transport):
        await until(lambda: len(second.messages) == 7)
        assert second.payloads == ["2", "3", "4", "6", "7", "8", "9"]
        assert all(message.duplicate for message in second.messages)
    identifiers = {message.payload: message.identifier for message in first.messages}
    assert all(identifiers[m.payload] == m.identifier for m in second.messages)
    third = Consumer()
    async with third.running(transport):
        await publish(broker, ["last"])
        await until(lambda: third.messages)
    assert third.payloads == ["last"]


async def test_a_backlog_comes_whole_and_in_order(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    transport = MqttTransport("home", settings, state)
    first = Consumer()
    async with first.running(transport) as connection:
        assert not connection.session_present
        await publish(broker, ["ready"])
        await until(lambda: first.messages)
        connection.acknowledge([first.messages[0].identifier])
    await publish(broker, range(1000))
    second = Consumer(lambda _: True)
    async with second.running(transport) as connection:
        assert connection.session_present
        await until(lambda: len(second.messages) >= 1000)
    assert second.payloads == numbers(1000)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_restarted_broker_costs_no_message(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState, end: str
) -> None:
    transport = MqttTransport("home", settings, state)
    await open_session(transport)
    await publish(broker, range(500))
    broker.stop()  # it stores the session, and 500 messages with it
    broker.start()
    before = Consumer(lambda message: int(message.payload) < 100)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(before.run(transport))
        await until(lambda: len(before.messages) >= 20)
        (broker.stop if end == "stop" else broker.kill)()
        assert f"{HOST}:{broker.port}" in await task
    broker.start()
    after = Consumer(lambda _: True)
    async with after.running(transport) as connection:
        assert connection.session_present
        await publish(broker, range(500, 520))
        await until(lambda: "519" in after.payloads)
    assert set(before.payloads) | set(after.payloads) == set(numbers(520))


async def test_an_acknowledgement_dies_with_its_connection(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    transport = MqttTransport("home", settings, state)
    await open_session(transport)
    await publish(broker, range(5))
    first = Consumer()
    async with first.running(transport) as old:
        await until(lambda: len(first.messages) == 5)
    second = Consumer()
    async with second.running(transport) as new:
        await until(lambda: len(second.messages) == 5)
        old.acknowledge(message.identifier for message in first.messages)
        assert new.unacknowledged_messages == 5
        await asyncio.sleep(0.05)
    third = Consumer()
    async with third.running(transport):
        await until(lambda: len(third.messages) == 5)
    assert third.payloads == numbers(5)


async def test_a_topic_that_is_no_longer_wanted_is_unsubscribed(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    both = replace(settings, subscriptions=[Subscription("s/#"), Subscription("old/#")])
    await open_session(MqttTransport("home", both, state))
    await publish(broker, ["while away"], topic="old/x")
    transport = MqttTransport("home", settings, state)
    first = Consumer(lambda _: True)
    async with first.running(transport):
        assert state.subscriptions("home") == {"s/#"}
        await until(lambda: first.messages)
    assert first.payloads == ["while away"], "what the broker had kept still comes"
    await publish(broker, ["not any more"], topic="old/x")
    await publish(broker, ["wanted"])
    second = Consumer(lambda _: True)
    async with second.running(transport):
        await until(lambda: second.messages)
        await publish(broker, ["nor now"], topic="old/x")
        await publish(broker, ["the last"])
        await until(lambda: len(second.messages) >= 2)
    assert second.payloads == ["wanted", "the last"]


async def test_beyond_the_limit_it_waits_and_loses_nothing(
    tmp_path: Path, state: MqttState
) -> None:
    """A consumer that commits when nothing more comes; a broker that sends all that it has."""
    with running(tmp_path / "mosquitto", "max_inflight_messages 0") as broker:
        settings = replace(settings_for(broker, "3.1.1"), max_unacknowledged_messages=100)
        transport = MqttTransport("home", settings, state)
        await open_session(transport)
        await publish(broker, range(5000))
        consumer = Consumer()
        committed = most = 0
        async with asyncio.TaskGroup() as tasks:
            visit = tasks.create_task(consumer.run(transport))
            while committed < 5000:
                await until(consumer.more_than(committed))
                connection = consumer.connections[-1]
                most = max(most, connection.unacknowledged_messages)
                fresh = consumer.messages[committed:]
                committed += len(fresh)
                connection.acknowledge([message.identifier for message in fresh])
            assert not visit.done()
            visit.cancel()
    assert consumer.payloads == numbers(5000)
    assert 100 < most < 100 + READ_BYTES // 8


async def test_mqtt_5_tells_the_broker_how_much_may_wait(
    broker: Mosquitto, state: MqttState
) -> None:
    settings = replace(settings_for(broker, "5"), max_unacknowledged_messages=300)
    transport = MqttTransport("home", settings, state)
    await open_session(transport)
    await publish(broker, range(500))
    consumer = Consumer()
    async with consumer.running(transport) as connection:
        await until(lambda: len(consumer.messages) >= 300)
        await asyncio.sleep(0.1)
        assert connection.alive
        assert len(consumer.messages) == 300
        connection.acknowledge(range(1, 65_536))
        await until(lambda: len(consumer.messages) == 500)
    assert consumer.payloads == numbers(500)


async def test_qos_2_that_another_client_left_behind_is_not_lost(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    version = aiomqtt.ProtocolVersion.V311
    async with aiomqtt.Client(
        HOST, broker.port, identifier="gateway-1", clean_session=False, protocol=version
    ) as former:
        await former.subscribe("q/#", 2)
    await publish(broker, range(5), topic="q/x", qos=2)
    transport = MqttTransport("home", settings, state)
    first = Consumer()
    async with first.running(transport) as connection:
        await until(lambda: len(first.messages) == 5)
        assert {message.qos for message in first.messages} == {2}
        connection.acknowledge([first.messages[0].identifier])
        await asyncio.sleep(0.05)
    second = Consumer(lambda _: True)
    async with second.running(transport) as connection:
        await until(lambda: len(second.messages) == 4)
        assert second.payloads == ["1", "2", "3", "4"]
        await publish(broker, ["5"], topic="q/x", qos=2)
        await until(lambda: len(second.messages) == 5)
        assert connection.alive
    third = Consumer()
    async with third.running(transport):
        await publish(broker, ["last"])
        await until(lambda: third.messages)
    assert third.payloads == ["last"]


async def test_retained_messages_come_where_they_are_wanted(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState
) -> None:
    async with aiomqtt.Client(HOST, broker.port) as client:
        await client.publish("s/config", "units", 1, retain=True)
    wanted = replace(settings, subscriptions=[Subscription("s/#", retained=True)])
    consumer = Consumer(lambda _: True)
    async with consumer.running(MqttTransport("home", wanted, state)):
        await until(lambda: consumer.messages)
    assert consumer.messages[0].retain
    consumer = Consumer(lambda _: True)
    async with consumer.running(MqttTransport("home", settings, state)):
        await publish(broker, ["live"])
        await until(lambda: "live" in consumer.payloads)
    live = [message.payload for message in consumer.messages if not message.retain]
    assert live == [b"live"]
    if settings.protocol == "5":
        assert len(consumer.messages) == 1


async def test_another_client_with_our_id(broker: Mosquitto, state: MqttState) -> None:
    transport = MqttTransport("home", settings_for(broker, "5"), state)
    consumer = Consumer()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(consumer.run(transport))
        await until(lambda: consumer.connections)
        async with aiomqtt.Client(HOST, broker.port, identifier="gateway-1"):
            assert 'does another client use our id "gateway-1"?' in await task


@pytest.mark.parametrize("before", ["the subscription", "a message"])
async def test_a_broker_that_hangs_is_noticed(
    broker: Mosquitto, settings: BrokerSettings, state: MqttState, before: str
) -> None:
    transport = MqttTransport("home", replace(settings, keepalive_s=1), state)
    consumer = Consumer()

    def freeze(connection: Connection) -> None:
        consumer.opened(connection)
        broker.freeze()

    if before == "the subscription":
        with pytest.raises(TransportError, match="Keep alive timeout"):
            async with asyncio.timeout(PATIENCE_S):
                await transport.run(freeze, consumer.receive)
    else:
        async with consumer.running(transport) as connection:
            broker.freeze()
            assert "Keep alive timeout" in str(await connection.ended)
    broker.thaw()
    async with consumer.running(transport) as connection:
        assert connection.session_present

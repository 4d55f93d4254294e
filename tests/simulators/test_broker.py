"""The broker's sessions, step by step."""

from dataclasses import dataclass

import pytest

from simulators.broker import IDENTIFIER_MAX, WINDOW, Broker, Packet


@dataclass(frozen=True)
class Note:
    text: str
    qos: int = 1


class Client:
    """Connects to a broker, and notes what arrives."""

    def __init__(self, broker: Broker[Note]) -> None:
        self.packets: list[Packet[Note]] = []
        self.session_present = broker.connect("c", self.packets.append)
        broker.subscribe("c")

    def texts(self) -> str:
        return "".join(packet.publication.text for packet in self.packets)

    def identifiers(self) -> list[int]:
        return [packet.identifier for packet in self.packets]


def publish(broker: Broker[Note], texts: str, qos: int = 1) -> None:
    for text in texts:
        broker.publish(Note(text, qos))


def test_a_session_keeps_what_comes_while_its_client_is_away() -> None:
    broker: Broker[Note] = Broker()
    publish(broker, "a")
    assert not Client(broker).session_present
    broker.disconnect("c")
    publish(broker, "b")
    publish(broker, "c", qos=0)
    client = Client(broker)
    assert client.session_present
    assert client.packets == [Packet(Note("b"), 1, duplicate=False)]


def test_a_session_without_a_subscription_gets_nothing() -> None:
    broker: Broker[Note] = Broker()
    packets: list[Packet[Note]] = []
    broker.connect("c", packets.append)
    publish(broker, "a")
    broker.subscribe("c")
    publish(broker, "b")
    assert [packet.publication.text for packet in packets] == ["b"]
    broker.restart()
    publish(broker, "c")
    assert broker.connect("c", packets.append)
    assert [packet.publication.text for packet in packets] == ["b", "b", "c"]


def test_what_was_not_acknowledged_comes_first_with_its_old_identifier() -> None:
    broker: Broker[Note] = Broker()
    Client(broker)
    publish(broker, "abc")
    broker.acknowledge("c", 2)
    broker.disconnect("c")
    publish(broker, "d")
    assert Client(broker).packets == [
        Packet(Note("a"), 1, duplicate=True),
        Packet(Note("c"), 3, duplicate=True),
        Packet(Note("d"), 4, duplicate=False),
    ]


def test_the_window_opens_with_each_acknowledgement() -> None:
    broker: Broker[Note] = Broker(window=2)
    client = Client(broker)
    publish(broker, "abcd")
    assert client.texts() == "ab"
    broker.acknowledge("c", 2)
    broker.acknowledge("c", 2)
    assert client.texts() == "abc"
    broker.acknowledge("c", 9)
    assert client.texts() == "abc"


def test_a_client_may_want_a_smaller_window() -> None:
    broker: Broker[Note] = Broker()
    packets: list[Packet[Note]] = []
    broker.connect("c", packets.append, receive_maximum=3)
    broker.subscribe("c")
    publish(broker, "abcde")
    assert len(packets) == 3


def test_identifiers_wrap_and_never_are_zero() -> None:
    broker: Broker[Note] = Broker(first_identifier=IDENTIFIER_MAX - 1)
    client = Client(broker)
    publish(broker, "abc")
    assert client.identifiers() == [IDENTIFIER_MAX, 1, 2]


def test_qos_0_passes_the_window() -> None:
    broker: Broker[Note] = Broker()
    client = Client(broker)
    publish(broker, "x" * (WINDOW + 5))
    publish(broker, "y", qos=0)
    assert client.texts() == "x" * WINDOW + "y"


def test_a_restart_keeps_everything() -> None:
    broker: Broker[Note] = Broker()
    Client(broker)
    publish(broker, "ab")
    broker.acknowledge("c", 1)
    broker.restart()
    publish(broker, "c")
    client = Client(broker)
    assert client.session_present
    assert client.texts() == "bc"


def test_after_a_crash_acknowledged_messages_come_back_and_later_ones_are_gone() -> None:
    broker: Broker[Note] = Broker(window=1)
    Client(broker)
    publish(broker, "ab")
    broker.save()
    broker.acknowledge("c", 1)
    broker.acknowledge("c", 2)
    publish(broker, "c")
    broker.crash()
    client = Client(broker)
    assert client.packets == [Packet(Note("a"), 1, duplicate=True)]
    broker.acknowledge("c", 1)
    assert client.packets[1:] == [Packet(Note("b"), 2, duplicate=False)]


@pytest.mark.parametrize("saved", [False, True])
def test_a_crash_may_lose_the_session(*, saved: bool) -> None:
    broker: Broker[Note] = Broker()
    Client(broker)
    publish(broker, "ab")
    if saved:
        broker.save()
    broker.crash(lose_sessions=True)
    client = Client(broker)
    assert not client.session_present
    publish(broker, "c")
    assert client.identifiers() == [1]

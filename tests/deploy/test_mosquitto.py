"""The broker's configuration: nothing is lost while the gateway is away."""

import asyncio
import getpass
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from tests.integration.mosquitto import HOST, Mosquitto

pytestmark = pytest.mark.integration

CONFIGURATION = Path(__file__).resolve().parents[2] / "deploy" / "mosquitto.conf"
SESSION = "gateway"
MESSAGES = 2_500
"""Of each QoS; mosquitto alone keeps 1,000 and of QoS 0 none."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """The configuration as it stands, in a folder that Debian's mosquitto.conf includes."""
    broker = Mosquitto(tmp_path / "broker")
    content = CONFIGURATION.read_text(encoding="utf-8")
    listener = "\nlistener 1883 127.0.0.1\n"
    assert content.count(listener) == 1
    included = tmp_path / "conf.d"
    included.mkdir()
    (included / "sensor-gateway.conf").write_text(
        content.replace(listener, f"\nlistener {broker.port} {HOST}\n")
    )
    (broker.folder / "mosquitto.conf").write_text(
        f"user {getpass.getuser()}\n"
        f"pid_file {broker.folder}/mosquitto.pid\n"
        "persistence true\n"
        f"persistence_location {broker.folder}/\n"
        f"log_dest file {broker.folder}/log\n"
        f"include_dir {included}\n"
    )
    try:
        yield broker.start()
    finally:
        broker.kill()


def session(broker: Mosquitto) -> aiomqtt.Client:
    return aiomqtt.Client(
        HOST,
        broker.port,
        identifier=SESSION,
        clean_session=False,
        protocol=aiomqtt.ProtocolVersion.V311,
    )


async def test_messages_for_an_absent_gateway_are_kept_through_a_restart(
    broker: Mosquitto,
) -> None:
    async with session(broker) as gateway:
        await gateway.subscribe("sensors/#", qos=1)
    sent = {(qos, b"%d %d" % (qos, i)) for qos in (0, 1) for i in range(MESSAGES)}
    async with aiomqtt.Client(HOST, broker.port, max_concurrent_outgoing_calls=500) as device:
        await asyncio.gather(
            *(device.publish("sensors/kitchen/th1/state", data, qos=qos) for qos, data in sent)
        )
    broker.stop()
    broker.start()
    received = set()
    async with asyncio.timeout(60), session(broker) as gateway:
        async for message in gateway.messages:
            assert message.qos == 1
            received.add(message.payload)
            if len(received) == len(sent):
                break
    assert received == {data for _, data in sent}


def test_the_broker_is_for_this_machine_only(broker: Mosquitto) -> None:
    listening = Path("/proc/net/tcp")
    if not listening.exists():
        pytest.skip("needs /proc/net/tcp, which only Linux has")
    wanted = f":{broker.port:04X} 00000000:0000 0A"
    addresses = [line.split()[1] for line in listening.read_text().splitlines() if wanted in line]
    assert addresses == [f"0100007F:{broker.port:04X}"]
    assert f":{broker.port:04X} " not in Path("/proc/net/tcp6").read_text()

"""Passwords and certificates against a real mosquitto; what is wrong is said in words."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.transports.mqtt import MqttState, MqttTransport, TlsSettings
from tests.integration.mosquitto import HOST, running
from tests.ports import free_port
from tests.transports.mqtt_peer import (
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
def state(tmp_path: Path) -> MqttState:
    return MqttState(tmp_path)


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    """What mosquitto knows: one user."""
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is missing: apt install mosquitto")
    file = tmp_path / "passwords"
    file.touch(0o600)
    subprocess.run([tool, "-b", str(file), "ann", "right"], check=True, capture_output=True)
    return file


@pytest.mark.parametrize("password", ["right", "wrong", None])
async def test_user_and_password(
    tmp_path: Path, passwords: Path, state: MqttState, protocol: Protocol, password: str | None
) -> None:
    lines = ("allow_anonymous false", f"password_file {passwords}")
    with running(tmp_path / "mosquitto", *lines) as broker:
        user = "ann" if password else None
        settings = replace(settings_for(broker, protocol), username=user, password=password)
        transport = MqttTransport("home", settings, state)
        if password == "right":
            async with Consumer().running(transport) as connection:
                assert connection.alive
            return
        why = await Consumer().run(transport)
    assert ('user "ann"' if user else "no user name") in why
    assert "Not authorized" in why


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Our own authority, its certificates for broker and gateway, and another authority."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("openssl is missing: apt install openssl")

    def run(*arguments: str) -> None:
        subprocess.run([tool, *arguments], cwd=tmp_path, check=True, capture_output=True)

    for name in ("ca", "other"):
        run(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"),
            *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        )
    (tmp_path / "names").write_text(f"subjectAltName=IP:{HOST}\n")
    for name in ("broker", "gateway"):
        run(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-CAcreateserial", "-days", "2", "-extfile", "names", "-out", f"{name}.pem"),
        )
    return tmp_path


async def test_tls(certificates: Path, state: MqttState, protocol: Protocol) -> None:
    def file(name: str) -> str:
        return str(certificates / name)

    port = free_port()
    lines = (
        f"listener {port} {HOST}",
        f"cafile {file('ca.pem')}",
        f"certfile {file('broker.pem')}",
        f"keyfile {file('broker.key')}",
        "require_certificate true",
    )
    with running(certificates / "mosquitto", *lines) as broker:
        settings = replace(settings_for(broker, protocol), port=port)

        async def try_with(tls: TlsSettings | None, port: int) -> str:
            return await Consumer().run(
                MqttTransport("home", replace(settings, tls=tls, port=port), state)
            )

        ours = TlsSettings(file("ca.pem"), file("gateway.pem"), file("gateway.key"))
        assert "not trusted" in await try_with(TlsSettings(file("other.pem")), port)
        assert "expects TLS" in await try_with(None, port)
        assert "perhaps the port speaks plain MQTT" in await try_with(ours, broker.port)
        assert f"{HOST}:{port}" in await try_with(TlsSettings(file("ca.pem")), port)

        transport = MqttTransport("home", replace(settings, tls=ours), state)
        await open_session(transport)
        await publish(broker, ["x" * 100_000, *range(2000)])
        consumer = Consumer(lambda _: True)
        async with consumer.running(transport) as connection:
            await until(lambda: len(consumer.messages) == 2001)
            assert connection.session_present
        assert consumer.payloads == ["x" * 100_000, *numbers(2000)]

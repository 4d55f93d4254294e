"""Client ids and subscriptions survive restarts, full disks and damaged files."""

import os
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.transports.mqtt_state import FILE_NAME, MqttState


def test_a_client_id_is_kept_for_good(tmp_path: Path) -> None:
    made = MqttState(tmp_path).client_id("home", "greenhouse")
    assert made.startswith("greenhouse-home-")
    assert MqttState(tmp_path).client_id("home", "greenhouse") == made
    assert MqttState(tmp_path).client_id("home", "renamed") == made, "the session is the same"


def test_no_two_gateways_and_no_two_brokers_share_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    ids = {
        MqttState(tmp_path).client_id("home", "pi"),
        MqttState(tmp_path).client_id("hall", "pi"),
        MqttState(tmp_path / "other").client_id("home", "pi"),
    }
    assert len(ids) == 3


def test_subscriptions_are_remembered_by_session(tmp_path: Path) -> None:
    state = MqttState(tmp_path)
    assert state.subscriptions("home") == frozenset()
    state.client_id("home", "pi")
    state.remember("home", ["b/#", "a/+"])
    state.remember("hall", ["c"])
    again = MqttState(tmp_path)
    assert again.subscriptions("home") == {"a/+", "b/#"}
    assert again.subscriptions("hall") == {"c"}
    again.remember("home", [])
    assert MqttState(tmp_path).subscriptions("home") == frozenset()
    assert MqttState(tmp_path).client_id("home", "pi") == state.client_id("home", "pi")


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    state = MqttState(tmp_path)
    state.remember("home", ["a"])
    (tmp_path / FILE_NAME).unlink()
    state.remember("home", ["a"])
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"[" * 100_000,
        b'{"home": 1}',
        b'{"home": {"client_id": 1}}',
        b'{"home": {"subscriptions": "a"}}',
        b'{"home": {"subscriptions": [1]}}',
    ],
)
def test_a_damaged_file_is_set_aside_with_a_warning(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    state = MqttState(tmp_path)
    assert "set aside" in caplog.text
    assert (tmp_path / "mqtt.corrupt").read_bytes() == content
    made = state.client_id("home", "pi")
    assert MqttState(tmp_path).client_id("home", "pi") == made


def test_a_disk_that_refuses_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = MqttState(tmp_path)
    state.remember("home", ["a"])

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        state.remember("home", ["b"])
    with pytest.raises(StoreError):
        state.client_id("home", "pi")
    monkeypatch.undo()
    assert state.subscriptions("home") == {"a"}
    assert MqttState(tmp_path).subscriptions("home") == {"a"}
    state.remember("home", ["b"])
    assert MqttState(tmp_path).subscriptions("home") == {"b"}

"""What must outlive a restart about our MQTT sessions: client ids and subscriptions, in one file.

The client id is the session: under a new one the broker would keep the messages of the old one
for nobody. It carries a random part, because two gateways with one name would evict each other
for ever. Subscriptions are remembered because a broker does not tell which ones a session has.

The file is replaced as a whole (written beside, synced, renamed). One that cannot be read is set
aside with a warning, and the sessions start anew.
"""

import contextlib
import json
import logging
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from gateway.errors import StoreError

log = logging.getLogger(__name__)

FILE_NAME = "mqtt.json"

_Session = dict[str, str | list[str]]


class MqttState:
    """The sessions by the name of their `[[mqtt]]` entry."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE_NAME
        self._sessions = self._load()

    def names(self) -> set[str]:
        """Every session that was ever opened."""
        return set(self._sessions)

    def client_id(self, name: str, gateway_name: str) -> str:
        """The session's client id, made the first time. Raises StoreError: it cannot be kept."""
        known = self._sessions.get(name, {}).get("client_id")
        if isinstance(known, str):
            return known
        made = f"{gateway_name}-{name}-{secrets.token_hex(4)}"
        self._save(name, "client_id", made)
        return made

    def subscriptions(self, name: str) -> frozenset[str]:
        """The filters that the broker may hold for the session."""
        return frozenset(self._sessions.get(name, {}).get("subscriptions", ()))

    def remember(self, name: str, filters: Iterable[str]) -> None:
        """Keep the session's filters. Raises StoreError: they are as before."""
        wanted = frozenset(filters)
        if wanted != self.subscriptions(name):
            self._save(name, "subscriptions", sorted(wanted))

    def _load(self) -> dict[str, _Session]:
        try:
            document = json.loads(self._path.read_bytes())
            if isinstance(document, dict) and all(map(_is_session, document.values())):
                return document
            problem = "not what was written"
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            problem = str(error)
        aside = self._path.with_suffix(".corrupt")
        log.warning(
            "%s is damaged (%s) and set aside as %s; for the brokers we are a new client",
            self._path,
            problem,
            aside.name,
        )
        with contextlib.suppress(OSError):
            self._path.replace(aside)
        return {}

    def _save(self, name: str, key: str, value: str | list[str]) -> None:
        """Change one entry, on the disk first."""
        session = self._sessions.get(name, {}) | {key: value}
        sessions = self._sessions | {name: session}
        written = self._path.with_suffix(".new")
        try:
            with written.open("w", encoding="utf-8") as file:
                json.dump(sessions, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            written.replace(self._path)
            _sync_directory(self._path.parent)
        except OSError as error:
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from error
        self._sessions = sessions


def _is_session(value: object) -> bool:
    """Whether the value has the shape that we write."""
    if not isinstance(value, dict):
        return False
    filters = value.get("subscriptions", [])
    return (
        isinstance(value.get("client_id", ""), str)
        and isinstance(filters, list)
        and all(isinstance(one, str) for one in filters)
    )


def _sync_directory(directory: Path) -> None:
    """Make the rename durable; Windows has no such thing."""
    if os.name == "posix":
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

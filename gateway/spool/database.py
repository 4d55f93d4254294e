"""What the spool and the archive share: one SQLite file, its transactions, its errors, its counts.

Strategy: one connection, used by one thread at a time. Every change is one transaction, which
carries the counts with it; `sqlite3` errors become a `StoreError` in `_open` and nowhere else.
After an error the transaction is rolled back and the connection goes on being used: SQLite drops
its cache, and the next call finds the disk as it is. A damaged file is salvaged, when the store
is opened or at the call after the one that met the damage. Limits: a file of a newer schema or of
another program is refused, never touched; a salvage needs room on the disk for what it keeps.
"""

import logging
import math
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from struct import Struct
from typing import ClassVar

from gateway.model import Group, Pin, Row, Totals
from gateway.redelivery import REMEMBERED
from gateway.spool.counts import Counts, add_up, load_counts, save_counts, to_totals
from gateway.spool.examine import (
    Format,
    check_schema,
    examine,
    pragma,
    stated_tables,
)
from gateway.spool.mishaps import DAMAGE, DamagedError, is_damage, store_error
from gateway.spool.pages import PAGE_SIZE
from gateway.spool.remains import lenient_text
from gateway.spool.salvage import (
    Check,
    copy_readable,
    finish_replacement,
    fresh_path,
    replace_damaged,
    sync_directory,
)

log = logging.getLogger(__name__)

GROUP_BYTES_MAX = 16 * 1024 * 1024
"""A group of commits; where little space is allowed, a 16th of that."""

WAL_BYTES_MAX = 16 * 1024 * 1024
"""The log is cut back to this size, or to what is a small part of little space; it is longer only
while a single transaction needs it."""

_WAL_BYTES_MIN = 64 * 1024
_GROWTH = 3
"""What a group may add to log and file, beside its own size: it stands in both for a while."""

_SEEN_PAIR = Struct(">H8s")
_SEEN_BLOB_BYTES = 800
"""More of an entry would go to a page of its own."""
_BUSY_S = 5.0


_SHARED_TABLES = """
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (
    measurement TEXT, field TEXT, is_text INTEGER NOT NULL, PRIMARY KEY (measurement, field)
) WITHOUT ROWID;
CREATE TABLE seen (
    session TEXT, upto INTEGER, pairs BLOB NOT NULL, PRIMARY KEY (session, upto)
) WITHOUT ROWID;
"""


class Database:
    """The file of a store. All methods but `totals` block: for one thread at a time."""

    schema: ClassVar[str]
    schema_version: ClassVar[int]
    upgrades: ClassVar[Mapping[int, str]] = {}
    """What makes the tables of a version those of the next."""
    application_id: ClassVar[int]
    file_mode: ClassVar[int]
    checks: ClassVar[Mapping[str, Check]] = {}
    """The tables whose rows prove that they are unaltered."""

    def __init__(self, path: Path, *, max_bytes: int | None, min_free: int) -> None:
        self.path = path
        self.warnings: list[str] = []
        """What the operator should know about the file, since it was opened."""
        self._max_bytes = max_bytes
        self._min_free = min_free
        self._wal_bytes, self.group_bytes_max = WAL_BYTES_MAX, GROUP_BYTES_MAX
        if max_bytes is not None:
            self.group_bytes_max = min(GROUP_BYTES_MAX, max_bytes // 16)
            self._wal_bytes = max(min(WAL_BYTES_MAX, max_bytes // 8), _WAL_BYTES_MIN)
        if min_free:  # no group may take the room that deleting needs
            self._wal_bytes = max(min(self._wal_bytes, min_free // 4), _WAL_BYTES_MIN)
            self.group_bytes_max = min(self.group_bytes_max, self._wal_bytes)
        self._counts: Counts = {}
        self._connection: sqlite3.Connection | None = None
        self._is_damaged = False
        self._before_repair: Counts = {}
        with self._open():
            pass
        self.opening = to_totals(self._before_repair or self._counts)
        """The counts as they were found: what damage has cost since then is counted in `totals`."""

    def totals(self) -> Totals:
        """The counts as of the last transaction; cheap, any thread."""
        return to_totals(self._counts)  # replaced by each transaction, never changed

    def held(self) -> int:
        """Lines that wait for their time; cheap, any thread."""
        return self._counts.get("held", 0)

    def pins(self) -> list[Pin]:
        with self._open() as db:
            rows = db.execute(
                "SELECT measurement, field, is_text FROM pins "
                "WHERE typeof(measurement) = 'text' AND typeof(field) = 'text'"  # not if damaged
            ).fetchall()
        return [Pin(measurement, field, bool(is_text)) for measurement, field, is_text in rows]

    def unpin(self, measurement: str, field: str) -> bool:
        """Free a field for another type; False where it has none."""
        with self._transaction() as (db, _):
            found = db.execute(
                "DELETE FROM pins WHERE measurement = ? AND field = ?", (measurement, field)
            )
            return found.rowcount > 0

    def seen(self, session: str) -> list[tuple[int, bytes]]:
        """The last committed messages of an MQTT session: (packet identifier, digest)."""
        with self._open() as db:
            blobs = db.execute(
                "SELECT coalesce(CAST(pairs AS BLOB), x'') FROM seen "
                "WHERE session = ? ORDER BY upto",
                (session,),
            ).fetchall()
        pairs = [pair for (blob,) in blobs for pair in _SEEN_PAIR.iter_unpack(_whole_pairs(blob))]
        return pairs[-REMEMBERED:]

    def pressure(self) -> float:
        """How full the store is, see `Store`. On a full disk SQLite cannot delete.

        A log that one large group made long is cut back. Free pages are room too: an emptied store
        would else wait for ever for what it has itself.
        """
        with self._open() as db:
            room = shutil.disk_usage(self.path.parent).free - self._min_free
            room += pragma(db, "freelist_count") * pragma(db, "page_size")
            if room <= 0:
                return math.inf
            if self._wal_bytes < self._log_bytes() < room:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            limit = self._max_bytes
            return -1.0 if limit is None else 1 + self._excess_bytes(db) / (limit / 8)

    def warn(self, words: str) -> None:
        """Tell the operator."""
        self.warnings.append(words)
        log.warning("%s", words)

    def close(self) -> None:
        """Bring everything into the one file and close it; never raises, nothing is lost."""
        db, self._connection = self._connection, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            with suppress(sqlite3.Error):
                db.close()

    def _repair(self, db: sqlite3.Connection, counts: Counts) -> str:
        """Make the counts agree with what the tables hold after damage; words for the operator."""
        raise NotImplementedError

    def _misses_counts(self, counts: Counts) -> bool:  # noqa: ARG002
        """Whether the file is of an earlier version, which did not count everything yet."""
        return False

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, Counts]]:
        """All or nothing, with a copy of the counts that becomes valid with the commit."""
        with self._open() as db:
            counts = self._counts.copy()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db, counts
                save_counts(db, counts, self._counts)
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
            self._counts = counts

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """The connection, made where there is none; what SQLite raises becomes a StoreError."""
        try:
            if self._connection is None or self._is_damaged:
                self._connection = self._connect()
            yield self._connection
        except sqlite3.ProgrammingError:
            raise  # a bug, not the disk
        except (OSError, *DAMAGE) as error:
            if is_damage(error):
                self._is_damaged = True  # salvaged at the next call
            raise store_error(self.path, error) from error

    def _connect(self) -> sqlite3.Connection:
        finish_replacement(self.path)
        was_empty = self.path.exists() and not self.path.stat().st_size
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, self.file_mode))
        if self._is_damaged:
            self.close()
            self._salvage()
        try:
            examine(self.path, self._format())
            if was_empty:
                self.warn(f"{self.path} was empty; if it was not new, its data is lost")
            return self._load()
        except DAMAGE as error:
            if not is_damage(error):
                raise
            self._salvage()
            return self._load()

    def _format(self) -> Format:
        return Format(
            self.application_id,
            self.schema_version,
            tuple(self.upgrades),
            _SHARED_TABLES,
            self.schema,
        )

    def _load(self) -> sqlite3.Connection:
        """Open the file, made where it is missing; look at its tables and check the counts."""
        with ExitStack() as on_error:
            db = self._file(self.path)
            on_error.callback(db.close)
            self._check_tables(db)
            db.execute("PRAGMA journal_mode = WAL")
            stored = load_counts(db)
            self._counts = stored.copy()
            damaged = not add_up(stored)
            if damaged or self._misses_counts(stored):
                db.execute("BEGIN IMMEDIATE")
                lost = self._repair(db, self._counts)
                save_counts(db, self._counts, stored)
                db.execute("COMMIT")
            if damaged:
                self.warn(f"{self.path} had damaged counts: {lost}")
            on_error.pop_all()
        return db

    def _check_tables(self, db: sqlite3.Connection) -> None:
        """Find damage now rather than at the first commit; the small tables are read whole."""
        check_schema(stated_tables(db), self._format())
        for name in re.findall(r"CREATE TABLE (\w+)", self.schema):
            db.execute(f"SELECT * FROM {name} LIMIT 1").fetchall()  # noqa: S608
        for name in re.findall(r"CREATE TABLE (\w+)", _SHARED_TABLES):
            (found,) = db.execute(f"PRAGMA integrity_check({name})").fetchone()
            if found != "ok":
                raise DamagedError(found)

    def _file(self, path: Path) -> sqlite3.Connection:
        """A connection to a file that has the store's tables."""
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, self.file_mode))
        with ExitStack() as on_error:
            db = _connection(path, self._wal_bytes)
            on_error.callback(db.close)
            if not db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
                self._create_tables(db)
                sync_directory(path.parent)
            elif (version := pragma(db, "user_version")) < self.schema_version:
                self._upgrade(db, version)
            on_error.pop_all()
        return db

    def _create_tables(self, db: sqlite3.Connection) -> None:
        db.executescript(
            "PRAGMA auto_vacuum = INCREMENTAL; BEGIN;"
            f"PRAGMA application_id = {self.application_id};"
            f"PRAGMA user_version = {self.schema_version};"
            f"{_SHARED_TABLES}{self.schema} COMMIT;"
        )

    def _upgrade(self, db: sqlite3.Connection, version: int) -> None:
        """Bring the tables of an earlier version to those of today, version by version."""
        try:
            while version < self.schema_version:
                script = self.upgrades[version]
                version += 1
                db.executescript(f"BEGIN; {script} PRAGMA user_version = {version}; COMMIT;")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise
            raise DamagedError(str(error)) from error  # a table that is not there, for one

    def _salvage(self) -> None:
        """Move what can be read into a new file, and set the damaged one aside."""
        fresh = fresh_path(self.path)
        fresh.unlink(missing_ok=True)
        with closing(self._file(fresh)) as target:
            target.execute("BEGIN")
            copy_readable(self.path, target, self.checks)
            stored = load_counts(target)
            self._before_repair = stored.copy() if add_up(stored) else {}
            counts = stored | self._counts
            lost = self._repair(target, counts)
            save_counts(target, counts, stored)
            target.execute("COMMIT")
        aside = replace_damaged(self.path)
        self._is_damaged = False
        self.warn(f"{self.path} was damaged and is set aside as {aside.name}: {lost}")

    def _excess_bytes(self, db: sqlite3.Connection) -> int:
        """What must go before the largest group fits; negative: what is left beside it."""
        pages = pragma(db, "page_count") - pragma(db, "freelist_count")
        used = pages * pragma(db, "page_size") + max(self._log_bytes(), self._wal_bytes)
        return used + _GROWTH * self.group_bytes_max - (self._max_bytes or used)

    def _log_bytes(self) -> int:
        log = Path(f"{self.path}-wal")
        return log.stat().st_size if log.exists() else 0


def put_shared(db: sqlite3.Connection, group: Group[Row]) -> None:
    """Store what a group carries beside its rows: pins and the redelivery rings."""
    pins = [(storable(pin.measurement), storable(pin.field), pin.is_text) for pin in group.pins]
    db.executemany("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", pins)
    for session in group.forget:
        db.execute("DELETE FROM seen WHERE session = ?", (session,))
    for session, pairs in group.seen.items():
        if pairs:
            _put_seen(db, session, pairs)


def _put_seen(db: sqlite3.Connection, session: str, pairs: Sequence[tuple[int, bytes]]) -> None:
    """Add to the last row as long as it is short: a row's own weight is that of five pairs."""
    latest = (
        "SELECT upto, coalesce(CAST(pairs AS BLOB), x'') FROM seen "
        "WHERE session = ? ORDER BY upto DESC LIMIT 1"
    )
    last, before = db.execute(latest, (session,)).fetchone() or (0, b"")
    blob = b"".join(_SEEN_PAIR.pack(identifier, digest) for identifier, digest in pairs)
    if len(before) + len(blob) <= _SEEN_BLOB_BYTES:
        db.execute("DELETE FROM seen WHERE session = ? AND upto = ?", (session, last))
        blob = _whole_pairs(before) + blob
    upto = last + len(pairs)
    db.execute("INSERT INTO seen VALUES (?, ?, ?)", (session, upto, blob))
    db.execute("DELETE FROM seen WHERE session = ? AND upto <= ?", (session, upto - REMEMBERED))


def _whole_pairs(blob: bytes) -> bytes:
    """The blob, cut to whole pairs where damage changed its length."""
    return blob[: len(blob) // _SEEN_PAIR.size * _SEEN_PAIR.size]


def storable(text: str) -> str:
    """The text without lone surrogates, which SQLite does not take."""
    return text.encode("utf-8", "replace").decode()


def _connection(path: Path, wal_bytes: int) -> sqlite3.Connection:
    with ExitStack() as on_error:
        db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        on_error.callback(db.close)
        db.text_factory = lenient_text
        db.execute("PRAGMA synchronous = FULL")
        # Where SQLite is built to overwrite what it deletes, as in Debian, that doubles the bytes
        # written per delivered batch.
        db.execute("PRAGMA secure_delete = OFF")
        db.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes // (2 * PAGE_SIZE)}")
        db.execute(f"PRAGMA journal_size_limit = {wal_bytes}")
        on_error.pop_all()
    return db

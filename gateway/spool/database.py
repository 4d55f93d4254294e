"""What the spool and the archive share: one SQLite file, its transactions, its errors, its counts.

Strategy: one connection, used by one thread at a time. Every change is one transaction, which
carries the counts with it; `sqlite3` errors become a `StoreError` in `_open` and nowhere else.
After an error the transaction is rolled back and the connection goes on being used: SQLite drops
its cache, and the next call finds the disk as it is. A damaged file is salvaged, when the store
is opened or at the call after the one that met the damage. Limits: a file of a newer schema or of
another program is refused, never touched.
"""

import errno
import math
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from struct import Struct
from typing import ClassVar

from gateway.errors import DiskFullError, StoreError
from gateway.model import Group, Pin, Row, Totals
from gateway.spool.salvage import (
    DAMAGE,
    copy_readable,
    finish_replacement,
    fresh_path,
    replace_damaged,
    sync_directory,
)

SEEN_MAX = 10_000
"""Pairs kept per MQTT session: brokers hold a few dozen in flight, and identifiers wrap at 65,535,
so that old pairs would take new messages for redelivered ones."""

GROUP_BYTES_MAX = 16 * 1024 * 1024
"""A group of commits; where little space is allowed, a 16th of that."""

WAL_BYTES_MAX = 16 * 1024 * 1024
"""The log is cut back to this size, or to what is a small part of little space; it is longer only
while a single transaction needs it."""

_WAL_BYTES_MIN = 64 * 1024
_GROWTH = 3
"""What a group may add to log and file, beside its own size: it stands in both for a while."""

_PAGE_BYTES = 4096
_SEEN_PAIR = Struct(">H8s")
_BUSY_S = 5.0

Counts = dict[str, int]
_TOTALS = tuple(f.name for f in fields(Totals))

_SHARED_TABLES = """
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE pins (
    measurement TEXT, field TEXT, is_text INTEGER NOT NULL, PRIMARY KEY (measurement, field)
) WITHOUT ROWID;
CREATE TABLE seen (
    session TEXT, upto INTEGER, pairs BLOB NOT NULL, PRIMARY KEY (session, upto)
) WITHOUT ROWID;
"""

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_BUSY: "another program holds the database",
    sqlite3.SQLITE_READONLY: "the file may not be written",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_NOTADB: "the database is damaged",
}
_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_PASSING_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class DamagedError(sqlite3.DatabaseError):
    """Damage that SQLite has not noticed itself; treated as if it had."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


class Database:
    """The file of a store. All methods but `totals` block: for one thread at a time."""

    schema: ClassVar[str]
    schema_version: ClassVar[int]
    upgrades: ClassVar[Mapping[int, str]] = {}
    """What makes the tables of a version those of the next."""
    application_id: ClassVar[int]
    file_mode: ClassVar[int]

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
        with self._open():
            pass

    def totals(self) -> Totals:
        """The counts as of the last transaction; cheap, any thread."""
        counts = self._counts  # replaced by each transaction, never changed
        return Totals(**{name: counts.get(name, 0) for name in _TOTALS})

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
        return pairs[-SEEN_MAX:]

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
                _save_counts(db, counts, self._counts)
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
            code = _code(error)
            if code in _DAMAGED:
                self._is_damaged = True  # salvaged at the next call
            words = _WORDS.get(code) or getattr(error, "strerror", None) or str(error)
            passing = code in _PASSING or getattr(error, "errno", None) in _PASSING_ERRNO
            kind = DiskFullError if passing else StoreError
            raise kind(f"{self.path}: {words}") from error

    def _connect(self) -> sqlite3.Connection:
        finish_replacement(self.path)
        if self._is_damaged:
            self.close()
            self._salvage()
        try:
            return self._load()
        except DAMAGE as error:
            if _code(error) not in _DAMAGED:
                raise
            self._salvage()
            return self._load()

    def _load(self) -> sqlite3.Connection:
        """Open the file, made where it is missing; look at its tables and check the counts."""
        with ExitStack() as on_error:
            db = self._file(self.path)
            on_error.callback(db.close)
            self._check_tables(db)
            db.execute("PRAGMA journal_mode = WAL")
            stored = _load_counts(db)
            self._counts = stored.copy()
            damaged = missing_lines(stored) or any(count < 0 for count in stored.values())
            if damaged or self._misses_counts(stored):
                db.execute("BEGIN IMMEDIATE")
                lost = self._repair(db, self._counts)
                _save_counts(db, self._counts, stored)
                db.execute("COMMIT")
            if damaged:
                self.warnings.append(f"{self.path} had damaged counts: {lost}")
            on_error.pop_all()
        return db

    def _check_tables(self, db: sqlite3.Connection) -> None:
        """Find damage now rather than at the first commit; the small tables are read whole."""
        script = _SHARED_TABLES + self.schema
        made = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        names = re.findall(r"CREATE \w+ (\w+)", script)
        if [name for name, _ in made] != names or any(str(sql) not in script for _, sql in made):
            raise DamagedError("the schema is damaged")
        for name in names:
            limit = -1 if name in _SHARED_TABLES else 1
            db.execute(f"SELECT * FROM {name} LIMIT {limit}").fetchall()  # noqa: S608

    def _file(self, path: Path) -> sqlite3.Connection:
        """A connection to a file that has the store's tables."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, self.file_mode))
        with ExitStack() as on_error:
            db = _connection(path, self._wal_bytes)
            on_error.callback(db.close)
            version = pragma(db, "user_version")
            if not db.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]:
                self._create_tables(db)
                sync_directory(path.parent)
            elif pragma(db, "application_id") != self.application_id:
                raise StoreError(f"{path} belongs to another program; move it away")
            elif version > self.schema_version:
                raise StoreError(
                    f"{path} was written by a newer version of the gateway (schema {version}, this "
                    f"version knows {self.schema_version}); install that version again"
                )
            else:
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
        while version < self.schema_version:
            script = self.upgrades[version]
            version += 1
            db.executescript(f"BEGIN; {script} PRAGMA user_version = {version}; COMMIT;")

    def _salvage(self) -> None:
        """Move what can be read into a new file, and set the damaged one aside."""
        fresh = fresh_path(self.path)
        fresh.unlink(missing_ok=True)
        with closing(self._file(fresh)) as target, closing(sqlite3.connect(self.path)) as damaged:
            damaged.text_factory = _lenient_text
            target.execute("BEGIN")
            copy_readable(damaged, target)
            stored = _load_counts(target)
            counts = stored | self._counts
            lost = self._repair(target, counts)
            _save_counts(target, counts, stored)
            target.execute("COMMIT")
        aside = replace_damaged(self.path)
        self._is_damaged = False
        self.warnings.append(f"{self.path} was damaged and is set aside as {aside.name}: {lost}")

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
    last = "SELECT coalesce(max(upto), 0) FROM seen WHERE session = ?"
    upto = db.execute(last, (session,)).fetchone()[0] + len(pairs)
    blob = b"".join(_SEEN_PAIR.pack(identifier, digest) for identifier, digest in pairs)
    db.execute("INSERT INTO seen VALUES (?, ?, ?)", (session, upto, blob))
    db.execute("DELETE FROM seen WHERE session = ? AND upto <= ?", (session, upto - SEEN_MAX))


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
        db.text_factory = _lenient_text
        db.execute("PRAGMA synchronous = FULL")
        # Where SQLite is built to overwrite what it deletes, as in Debian, that doubles the bytes
        # written per delivered batch.
        db.execute("PRAGMA secure_delete = OFF")
        db.execute(f"PRAGMA wal_autocheckpoint = {wal_bytes // (2 * _PAGE_BYTES)}")
        db.execute(f"PRAGMA journal_size_limit = {wal_bytes}")
        on_error.pop_all()
    return db


def _lenient_text(text: bytes) -> str:
    """Damaged text must not raise."""
    return text.decode("utf-8", "replace")


def _load_counts(db: sqlite3.Connection) -> Counts:
    return dict(
        db.execute("SELECT name, coalesce(CAST(value AS INTEGER), 0) FROM totals").fetchall()
    )


def missing_lines(counts: Counts) -> int:
    """Lines that came and are in no other count: 0 while the equation of `Totals` holds."""
    came = sum(counts.get(name, 0) for name in ("spooled", "retried"))
    went = ("delivered", "dead", "evicted", "corrupt", "pending")
    return came - sum(counts.get(name, 0) for name in went)


def _save_counts(db: sqlite3.Connection, counts: Counts, before: Counts) -> None:
    changed: Iterable[tuple[str, int]] = counts.items() - before.items()
    db.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?)", changed)


def pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _code(error: Exception) -> int:
    """The primary result code of an SQLite error, 0 for any other."""
    if isinstance(error, UnicodeDecodeError):
        return sqlite3.SQLITE_CORRUPT
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF

"""The archive for reading only, also beside the gateway that writes it.

Strategy: a connection that cannot write, so nothing is created, salvaged or locked out: SQLite's
log lets one read while another writes. Limits: SQLite leaves `archive.db-wal` and `-shm` behind,
which belong to the file; and whoever reads must be allowed to write into the directory, for them.
"""

import sqlite3
from pathlib import Path

from gateway.errors import StoreError
from gateway.spool.archive import BEGINNING, Archive, PointKey
from gateway.spool.examine import pragma


class ArchiveReader(Archive):
    """What of `Archive` reads. Raises StoreError where there is no archive."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, min_free=0)

    def last(self) -> PointKey:
        """The last point in the order of export; `BEGINNING` where there is none."""
        with self._open() as db:
            found = db.execute(
                "SELECT time, series FROM samples ORDER BY time DESC, series DESC LIMIT 1"
            ).fetchone()
        return PointKey(*found) if found else BEGINNING

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
        )
        known = pragma(db, "user_version") in range(1, self.schema_version + 1)
        if pragma(db, "application_id") != self.application_id or not known:
            db.close()
            raise StoreError(f"{self.path}: not an archive that this version of the gateway knows")
        return db

"""Logs: for people on a terminal, one JSON object a line otherwise.

A flood is a fault of its own on an SD card: the same message of one place in the code about one
source is written `SAME_MAX` times a minute; how many were held back is said with the next one.
"""

import json
import logging
import sys
from datetime import UTC, datetime

SAME_MAX = 5
SAME_PERIOD_S = 60.0
SOURCES_KEPT = 1_000


class FloodFilter(logging.Filter):
    """Lets through `SAME_MAX` records of a kind per period."""

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        first = str(record.args[0]) if isinstance(record.args, tuple) and record.args else ""
        kind = (record.pathname, record.lineno, first)
        since, count = self._kinds.get(kind, (record.created, 0))
        if not 0 <= record.created - since < SAME_PERIOD_S:  # the clock may be set back
            if count > SAME_MAX:
                record.msg = f"{record.msg} ({count - SAME_MAX} like it were not logged)"
            since, count = record.created, 0
        if len(self._kinds) >= SOURCES_KEPT:
            self._kinds.clear()
        self._kinds[kind] = (since, count + 1)
        return count < SAME_MAX


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(*, verbose: bool, for_people: bool) -> None:
    """Log to standard error. To be called before influxdb-client logs and adds its own handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(FloodFilter())
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
        if for_people
        else JsonFormatter()
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gateway").setLevel(logging.DEBUG if verbose else logging.INFO)

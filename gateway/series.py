"""Points that never change: when two observations of one series meet at one nanosecond.

InfluxDB identifies a point by measurement, tags and time, and silently overwrites (decision 4). So
before anything is stored:

- The same device time again, with equal values, is a repetition; with other fields, it is merged
  by the database; with a different value it moves on by one nanosecond.
- Arrival times are ours: two lines that arrive in one read are two observations, and the second
  moves on by one nanosecond.

Remembered are the last `TIMES_KEPT` device times of the last `SERIES_KEPT` series: a repetition
from further back is stored again as what it was, which changes nothing.
"""

from collections.abc import Mapping

from gateway.model import FieldValue, Observation, Reason, Repeated, Series, TimeSource

TIMES_KEPT = 16
SERIES_KEPT = 50_000

_BURST_NS = 1_000_000
"""Arrivals closer than this to the last one came in one read; further back, the clock stepped."""


_NONE = range(0)


class SeriesHistory:
    """One series and its last points."""

    __slots__ = (
        "_arrival_ns",
        "_forgotten",
        "_points",
        "count",
        "last",
        "latest",
        "names_made_up",
        "series",
    )

    def __init__(self, series: Series) -> None:
        self.series = series
        self.last: Observation | None = None
        self.latest: dict[str, Observation] = {}
        """The last observation of each field: a device may say one thing at a time."""
        self.count = 0
        self.names_made_up = 0
        """Fields beside the dictionary's that this series brought into use."""
        self._arrival_ns = 0
        self._points: dict[int, Mapping[str, FieldValue]] = {}
        self._forgotten = _NONE
        """Times in a row, taken by one device time with ever new values, and not remembered."""

    def place(
        self,
        fields: Mapping[str, FieldValue],
        received_at_ns: int,
        observed_at_ns: int | None,
    ) -> Observation | Repeated:
        """Give the fields their time; `observed_at_ns` is the device's, if it has one."""
        if observed_at_ns is None:
            time_ns = self._next_arrival(received_at_ns)
            source = TimeSource.ARRIVAL
        else:
            placed = self._place_device_time(fields, observed_at_ns)
            if placed is None:
                return Repeated(Reason.SAME_POINT)
            time_ns = placed
            source = TimeSource.DEVICE
        self.last = Observation(self.series, fields, time_ns, received_at_ns, source)
        self.count += 1
        for name in fields:
            self.latest[name] = self.last
        return self.last

    def _next_arrival(self, received_at_ns: int) -> int:
        behind = self._arrival_ns - received_at_ns
        time_ns = self._arrival_ns + 1 if 0 <= behind < _BURST_NS else received_at_ns
        while time_ns in self._points:
            time_ns += 1
        self._arrival_ns = time_ns
        return time_ns

    def _place_device_time(self, fields: Mapping[str, FieldValue], time_ns: int) -> int | None:
        """The first nanosecond from `time_ns` on where the fields contradict nothing.

        None: they are there already.
        """
        points = self._points
        if time_ns in self._forgotten:
            time_ns = self._forgotten.stop
        while (stored := points.get(time_ns)) is not None:
            if all(stored.get(name) == value for name, value in fields.items()):
                return None
            if all(stored.get(name, value) == value for name, value in fields.items()):
                points[time_ns] = {**stored, **fields}
                return time_ns
            time_ns += 1
        points[time_ns] = fields
        if len(points) > TIMES_KEPT:
            self._forget(next(iter(points)))
        return time_ns

    def _forget(self, time_ns: int) -> None:
        """Forget the oldest point, but not that its time is taken if the next one moved on."""
        del self._points[time_ns]
        if time_ns == self._forgotten.stop:
            self._forgotten = range(self._forgotten.start, time_ns + 1)
        elif time_ns + 1 in self._points:
            self._forgotten = range(time_ns, time_ns + 1)


class SeriesRegistry:
    """All series of the gateway, whichever source they come from, by their line prefix."""

    def __init__(self) -> None:
        self._histories: dict[str, SeriesHistory] = {}

    def history(self, series: Series) -> SeriesHistory:
        found = self._histories.get(series.prefix)
        if found is None:
            if len(self._histories) >= SERIES_KEPT:
                del self._histories[next(iter(self._histories))]
            found = self._histories[series.prefix] = SeriesHistory(series)
        return found

    def histories(self) -> list[SeriesHistory]:
        """Every series, oldest first."""
        return list(self._histories.values())

"""Points that never change: when two observations of one series meet at one nanosecond.

InfluxDB identifies a point by measurement, tags and time, and silently overwrites (decision 4). So
before anything is stored:

- The same device time again, with equal values, is a repetition; with other fields, it is merged
  by the database; with a different value it moves on by one nanosecond.
- Arrival times are ours: two lines that arrive in one read are two observations, and the second
  moves on by one nanosecond.
- A clock that is set back passes times again that are taken. Nobody can remember them all; so the
  last nanosecond of each microsecond is never given to an arrival, except after the clock was set
  back, until it passes the latest time that was ever given: then every second microsecond's. The
  next time it is set back these are taken too: every fourth microsecond's, and so on.

Before there is a time of day (`gateway.times`) every observation gets an arrival of its own, also
one with a device's time: only later is it known which of the two will be its time.

Remembered are the `TIMES_KEPT` device times heard last of the last `SERIES_KEPT` series: a
repetition from further back is stored again as what it was, which changes nothing. Limits: after a
restart nothing is known of times given before it, and after `SETBACKS_TOLD_APART` setbacks places
are given again: two arrivals then meet if they agree to the nanosecond.
"""

from collections.abc import Mapping

from gateway.model import FieldValue, Observation, Reason, Repeated, Series, TimeSource
from gateway.times import is_since_boot

TIMES_KEPT = 16
SERIES_KEPT = 50_000
SETBACKS_TOLD_APART = 8
"""The eighth leaves every 256th microsecond's place: enough for 3,900 points a second."""

_SETBACK_NS = 1_000_000
"""A clock set back by less than this is waited for: its arrivals follow each other closely."""

_SET_APART = 999
"""The nanosecond of a microsecond that is kept for a clock that was set back."""

_NONE = range(0)


class SeriesHistory:
    """One series and its last points."""

    __slots__ = (
        "_arrival_ns",
        "_forgotten",
        "_latest_ns",
        "_points",
        "_received_ns",
        "_setbacks",
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
        self._received_ns = 0
        self._arrival_ns = 0
        self._latest_ns = 0
        """The latest arrival time that was given; the last one lies before it after a setback."""
        self._setbacks = 0
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
        source = TimeSource.ARRIVAL
        if observed_at_ns is None:
            time_ns = self._next_arrival(received_at_ns)
        else:
            time_ns, is_known = self._place_device_time(fields, observed_at_ns)
            source = TimeSource.DEVICE
            if is_since_boot(received_at_ns):  # the device's time may prove wrong
                received_at_ns = self._next_arrival(received_at_ns)
            elif is_known:
                return Repeated(Reason.SAME_POINT)
        self.last = Observation(self.series, fields, time_ns, received_at_ns, source)
        self.count += 1
        for name in fields:
            self.latest[name] = self.last
        return self.last

    def forget(self, observation: Observation) -> None:
        """It was not stored: said again, it is no repetition.

        Not so where it was merged with a point that may be stored.
        """
        if self._points.get(observation.time_ns) is observation.fields:
            del self._points[observation.time_ns]

    def date(self, offset_ns: int) -> None:
        """The machine's start has got its date: that of what was given since."""
        if self._latest_ns and is_since_boot(self._latest_ns):
            self._received_ns += offset_ns
            self._arrival_ns += offset_ns
            self._latest_ns += offset_ns

    def _next_arrival(self, received_at_ns: int) -> int:
        if (  # as nearly always
            received_at_ns > self._latest_ns
            and received_at_ns % 1000 != _SET_APART
            and received_at_ns not in self._points
        ):
            self._received_ns = self._arrival_ns = self._latest_ns = received_at_ns
            return received_at_ns
        time_ns = max(received_at_ns, self._arrival_ns + 1)
        if self._received_ns - received_at_ns >= _SETBACK_NS:
            self._setbacks = self._setbacks % SETBACKS_TOLD_APART + 1
            time_ns = received_at_ns
        self._received_ns = received_at_ns
        time_ns = self._free(time_ns)
        while time_ns in self._points:
            time_ns = self._free(time_ns + 1)
        self._arrival_ns = time_ns
        self._latest_ns = max(self._latest_ns, time_ns)
        return time_ns

    def _free(self, time_ns: int) -> int:
        """The first time from this one on that no arrival before the last setback can have."""
        if time_ns > self._latest_ns:
            return time_ns + (time_ns % 1000 == _SET_APART)
        every = 1000 << self._setbacks
        place = _SET_APART + 1000 * ((1 << self._setbacks - 1) - 1)
        return time_ns + (place - time_ns) % every

    def _place_device_time(
        self, fields: Mapping[str, FieldValue], time_ns: int
    ) -> tuple[int, bool]:
        """The first nanosecond from `time_ns` on where the fields contradict nothing.

        And whether they are there already.
        """
        points = self._points
        if time_ns in self._forgotten:
            time_ns = self._forgotten.stop
        while (stored := points.get(time_ns)) is not None:
            if all(stored.get(name) == value for name, value in fields.items()):
                if time_ns + 1 not in points:  # else those that moved on would be forgotten first
                    points[time_ns] = points.pop(time_ns)
                return time_ns, True
            if all(stored.get(name, value) == value for name, value in fields.items()):
                points[time_ns] = {**stored, **fields}
                return time_ns, False
            time_ns += 1
        points[time_ns] = fields
        if len(points) > TIMES_KEPT:
            self._forget(next(iter(points)))
        return time_ns, False

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

    def forget(self, observation: Observation) -> None:
        """It was not stored."""
        history = self._histories.get(observation.series.prefix)
        if history is not None:
            history.forget(observation)

    def date(self, offset_ns: int) -> None:
        """The machine's start has got its date."""
        for history in self._histories.values():
            history.date(offset_ns)

    def histories(self) -> list[SeriesHistory]:
        """Every series, oldest first."""
        return list(self._histories.values())

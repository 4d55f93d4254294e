"""Reading -> Observation: one name, one unit, one type and one time, whatever the vendor.

Per (measurement, raw name, unit) the dictionary look-up, unit conversion, calibration, range and
type are resolved once into a `_Plan`; per value only the plan runs. A value that is none (NaN, out
of range, `unavailable`, a number on a text field) is refused with its reason and costs only
itself.

Calibration (`FieldRule`): `scale` and `offset` apply to the device's own number in its own unit,
then the unit is converted, then `low` and `high` are checked in the canonical unit.

Types never conflict (decision 5): numbers and booleans are floats; a field keeps the type it had
first (`gateway.catalogue`); text on a number goes to `<field>_text`; a number on text is refused.

Limits: PLANS_KEPT plans and series per source, NAMES_MAX made-up fields per series, NEW_NAMES_MAX
look-ups per message, TEXT_MAX characters of text.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.catalogue import Catalogue
from gateway.ledger import Account, Ledger, Stage
from gateway.model import (
    FieldValue,
    Frame,
    Implausible,
    Observation,
    Reading,
    Reason,
    Repeated,
    Value,
)
from gateway.quantities import (
    QUANTITIES,
    Quantity,
    Unit,
    conversion_for,
    find_quantity,
    find_unit,
    unknown_field,
)
from gateway.series import SeriesHistory, SeriesRegistry
from gateway.sinks.line_protocol import make_series
from gateway.times import is_plausible

DEFAULT_MEASUREMENT = "sensor"
PLANS_KEPT = 10_000
NAMES_MAX = 256
"""Field names beside the dictionary's that one series may bring into use in a process."""

NEW_NAMES_MAX = 256
"""Raw names looked up for one message or line: a look-up takes up to 0.5 ms."""

TEXT_MAX = 1_024
UNIT_MAX = 64

NO_VALUE = frozenset(
    {"", "-", "--", "---", "n/a", "na", "nan", "none", "null", "unavailable", "unknown"}
)
WORDS = {"on": 1.0, "true": 1.0, "off": 0.0, "false": 0.0}

_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)\s*(.{0,24})")
_DECIMAL_COMMA = re.compile(r"\A([+-]?\d+),(\d{1,2}|\d{4,})(?!\d)")  # anchored: else quadratic


@dataclass(frozen=True, slots=True)
class FieldRule:
    """What the user says of one raw name."""

    quantity: str | None = None
    unit: str | None = None
    scale: float = 1.0
    offset: float = 0.0
    low: float | None = None
    high: float | None = None
    rename: str | None = None
    drop: bool = False


_NO_RULE = FieldRule()


@dataclass(slots=True)
class _Plan:
    """What to do with one raw name in one unit."""

    name: str
    factor: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    sentinels: tuple[float, ...] = ()
    unit: str = ""
    is_number: bool = False
    """The dictionary says so."""
    is_text: bool | None = None
    """None until the first value shows it."""
    refusal: Reason | None = None
    """Every value is refused."""


class Normalizer:
    """One source's (or subscription's) readings in, observations out."""

    def __init__(
        self,
        *,
        account: Account,
        ledger: Ledger,
        catalogue: Catalogue,
        registry: SeriesRegistry,
        device: str = "",
        measurement: str = "",
        tags: Mapping[str, str],
        rules: Mapping[str, FieldRule],
        believes: Callable[[int, int], bool] = is_plausible,
    ) -> None:
        """`believes` says whether a device's time can be right, given that of the arrival."""
        self._account = account
        self._ledger = ledger
        self._catalogue = catalogue
        self._registry = registry
        self._device = device
        self._measurement = measurement
        self._tags = dict(tags)
        self._rules = dict(rules)
        self._believes = believes
        self._plans: dict[tuple[str, str, str], _Plan] = {}
        self._generation = catalogue.generation
        self._series: dict[object, SeriesHistory] = {}
        self._frame: Frame | None = None
        self._look_ups = 0
        """Made for the present frame."""

    def normalize(self, reading: Reading, frame: Frame) -> Observation | Implausible | Repeated:
        """Count and keep what is plausible; the reading's own counts are the caller's."""
        if frame is not self._frame:
            self._frame, self._look_ups = frame, 0
        history = self._history(reading, frame)
        fields = self._fields(history, reading, frame)
        if not fields:
            return Implausible(Reason.NO_FIELDS)
        observed_at_ns = reading.observed_at_ns
        if observed_at_ns is not None and not self._believes(observed_at_ns, frame.received_at_ns):
            observed_at_ns = None
        return history.place(fields, frame.received_at_ns, observed_at_ns)

    def _fields(
        self, history: SeriesHistory, reading: Reading, frame: Frame
    ) -> dict[str, FieldValue]:
        if self._generation != self._catalogue.generation:
            self._generation = self._catalogue.generation
            self._plans.clear()
        units = reading.units
        plans = self._plans
        measurement = history.series.measurement
        fields: dict[str, FieldValue] = {}
        refused = self._account.refused
        try:
            for raw, value in reading.values.items():
                unit = units.get(raw, "") if units else ""
                plan = plans.get((measurement, raw, unit)) or self._plan(history, raw, unit, frame)
                outcome = self._apply(plan, history, raw, value, frame)
                if isinstance(outcome, Reason):
                    self._refuse(outcome, raw, value, frame)
                elif outcome[0] in fields:
                    self._refuse(Reason.COLLISION, raw, value, frame)
                else:
                    fields[outcome[0]] = outcome[1]
        finally:  # also where a decoder returned what is no value: the counts stay exact
            self._account.quantities += len(fields) + self._account.refused - refused
            self._account.fields += len(fields)
        return fields

    def _apply(
        self, plan: _Plan, history: SeriesHistory, raw: str, value: Value, frame: Frame
    ) -> tuple[str, FieldValue] | Reason:
        """The value's field and canonical value, or why it has none."""
        if plan.refusal is not None:
            return plan.refusal
        if isinstance(value, str):
            return self._apply_text(plan, history, raw, value, frame)
        outcome = _number(plan, value)
        if plan.is_text is False or isinstance(outcome, Reason):
            return outcome
        return self._settle(plan, history) or outcome

    def _settle(self, plan: _Plan, history: SeriesHistory) -> Reason | None:
        """A number arrives where the type is not known to be one: make it so, or say why not."""
        measurement = history.series.measurement
        self._learn_type(plan, measurement)
        if plan.is_text:
            return Reason.TYPE_CONFLICT
        if plan.is_text is None and not self._pin(plan.name, history, is_text=False):
            return Reason.TOO_MANY_FIELDS
        plan.is_text = False
        if plan.unit:
            self._catalogue.publish_unit(measurement, plan.name, plan.unit)
        return None

    def _pin(self, name: str, history: SeriesHistory, *, is_text: bool) -> bool:
        """Fix a field's type; a device that makes up names has a quota of them."""
        made_up = name not in QUANTITIES
        if made_up and history.names_made_up >= NAMES_MAX:
            return False
        history.names_made_up += made_up
        return self._catalogue.pin(history.series.measurement, name, is_text=is_text)

    def _learn_type(self, plan: _Plan, measurement: str) -> None:
        """What had no type when the plan was made may have got one from another name or source."""
        if plan.is_text is None:
            plan.is_text = self._catalogue.is_text(measurement, plan.name)

    def _apply_text(
        self, plan: _Plan, history: SeriesHistory, raw: str, value: str, frame: Frame
    ) -> tuple[str, FieldValue] | Reason:
        """A string may be a word for nothing, a number, a number with a unit, or text."""
        text = value.strip() if len(value) <= TEXT_MAX else value
        lowered = text.lower() if len(text) <= TEXT_MAX else text
        if lowered in NO_VALUE:
            return Reason.UNAVAILABLE
        parsed = WORDS.get(lowered)
        unit = ""
        if parsed is None and len(text) <= TEXT_MAX:
            parsed, unit = _number_with_unit(text)
        if parsed is not None:
            if unit:
                key = (history.series.measurement, raw, unit)
                plan = self._plans.get(key) or self._plan(history, raw, unit, frame)
            return self._apply(plan, history, raw, parsed, frame)
        if len(text) > TEXT_MAX:
            return Reason.TOO_LONG
        measurement = history.series.measurement
        self._learn_type(plan, measurement)
        name = plan.name if plan.is_text is not False else f"{plan.name}_text"
        known = self._catalogue.is_text(measurement, name)
        if known is False:
            return Reason.TYPE_CONFLICT
        if known is None and not self._pin(name, history, is_text=True):
            return Reason.TOO_MANY_FIELDS
        if name == plan.name:
            plan.is_text = True
        return name, text

    def _refuse(self, reason: Reason, raw: str, value: Value, frame: Frame) -> None:
        shown = value[:TEXT_MAX] if isinstance(value, str) else value
        self._ledger.lose(
            self._account,
            Stage.REFUSED,
            reason,
            f"{raw[:TEXT_MAX]} = {shown}",
            now_ns=frame.received_at_ns,
        )

    def _plan(self, history: SeriesHistory, raw: str, unit: str, frame: Frame) -> _Plan:
        self._look_ups += 1
        if self._look_ups > NEW_NAMES_MAX:
            return _Plan(raw, refusal=Reason.TOO_MANY_FIELDS)
        if len(self._plans) >= PLANS_KEPT:
            self._plans.clear()
        measurement = history.series.measurement
        unit = unit[:UNIT_MAX]  # it is kept with the plan
        plan = _make_plan(raw, unit, self._rules.get(raw, _NO_RULE))
        if plan.name in self._tags or plan.name in frame.captures or plan.name == "device":
            plan.name = f"{plan.name}_field"
        self._learn_type(plan, measurement)
        if plan.is_text is None and plan.is_number:
            plan.refusal = self._settle(plan, history)
        elif plan.is_text is False and plan.unit:
            self._catalogue.publish_unit(measurement, plan.name, plan.unit)
        self._plans[measurement, raw, unit] = plan
        return plan

    def _history(self, reading: Reading, frame: Frame) -> SeriesHistory:
        measurement = self._measurement or reading.measurement or DEFAULT_MEASUREMENT
        key = (
            frame.topic,
            measurement,
            reading.device,
            tuple(reading.tags.items()) if reading.tags else None,
        )
        history = self._series.get(key)
        if history is None:
            if len(self._series) >= PLANS_KEPT:
                self._series.clear()
            history = self._registry.history(
                make_series(measurement, self._all_tags(reading, frame))
            )
            self._series[key] = history
        return history

    def _all_tags(self, reading: Reading, frame: Frame) -> dict[str, str]:
        """The user's word counts more than the topic's, the topic's more than the decoder's."""
        captures = {k: v for k, v in frame.captures.items() if k != "field"}
        tags = {**reading.tags, **captures, **self._tags}
        if not tags.get("device"):  # a level of a topic may be empty
            tags["device"] = reading.device or self._device or frame.topic
        return tags


def _number(plan: _Plan, value: float) -> tuple[str, FieldValue] | Reason:
    """Calibrate, convert and check one number; booleans are numbers."""
    try:
        number = float(value) * plan.factor + plan.offset
    except OverflowError:
        return Reason.INFINITE
    if plan.low <= number <= plan.high and number not in plan.sentinels and abs(number) != math.inf:
        return plan.name, number
    if math.isnan(number):
        return Reason.NAN
    if math.isinf(number):
        return Reason.INFINITE
    return Reason.SENTINEL if number in plan.sentinels else Reason.OUT_OF_RANGE


def _number_with_unit(text: str) -> tuple[float | None, str]:
    """Read "21.5", "21,5" and "30.11 degC"; (None, "") where it is no number in a known unit."""
    match = _NUMBER.fullmatch(_DECIMAL_COMMA.sub(r"\1.\2", text, count=1))
    if match is None:
        return None, ""
    unit = match[2].strip()
    if unit and find_unit(unit) is None:
        return None, ""
    return float(match[1]), unit


def _make_plan(raw: str, unit_spelling: str, rule: FieldRule) -> _Plan:
    """Resolve names, units and calibration of one raw name; types are the catalogue's."""
    if rule.drop:
        return _Plan(raw, refusal=Reason.DROPPED)
    spelling = rule.unit or unit_spelling
    unit = find_unit(spelling) if spelling else None
    if spelling and unit is None:  # in a unit nobody knows, the unit becomes part of the name
        return _calibrated(_Plan(unknown_field(f"{raw} {spelling}", None)), rule)
    match = find_quantity(raw, unit)
    if rule.quantity:
        name, quantity = rule.quantity, QUANTITIES[rule.quantity]
    elif match is not None:
        name, quantity = match.field, match.quantity
    else:
        plan = _Plan(unknown_field(raw, unit), unit=unit.code if unit else "")
        return _calibrated(plan, rule)
    if unit is None and match is not None:
        unit = match.unit
    return _calibrated(_known_plan(raw, name, quantity, unit), rule)


def _known_plan(raw: str, name: str, quantity: Quantity, unit: Unit | None) -> _Plan:
    """A quantity of the dictionary; in a unit that it cannot have, it is not that quantity."""
    steps = conversion_for(quantity, unit)
    if steps is None:
        return _Plan(unknown_field(raw, unit), unit=unit.code if unit else "")
    return _Plan(
        name,
        factor=steps[0],
        offset=steps[1],
        low=quantity.low,
        high=quantity.high,
        sentinels=quantity.sentinels,
        unit=quantity.unit,
        is_number=True,
    )


def _calibrated(plan: _Plan, rule: FieldRule) -> _Plan:
    """The user's calibration before the conversion, the user's range after it."""
    plan.offset += rule.offset * plan.factor
    plan.factor *= rule.scale
    if rule.low is not None:
        plan.low = max(plan.low, rule.low)
    if rule.high is not None:
        plan.high = min(plan.high, rule.high)
    if rule.rename:
        plan.name = rule.rename
    return plan

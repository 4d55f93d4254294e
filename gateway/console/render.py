"""What `sensor-gateway status` and `tail` print; the spool has `render_spool`.

Names and values come from devices, and a terminal obeys control characters: `plain` replaces
them, and nothing is read as markup.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway.model import FieldValue

if TYPE_CHECKING:
    from gateway.console.status import DeviceStatus, EquationStatus, SourceStatus, Status
    from gateway.console.tail import Missed, Observed

_STYLES = {"ok": "green", "degraded": "yellow", "failing": "red"}
_STEPS_S = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def format_tail(entry: "Observed | Missed") -> str:
    """One line: the local time if it is known, measurement, device and other tags, the values."""
    if "missed" in entry:
        return f"... {entry['missed']} observations came too fast to be shown ..."
    tags = dict(entry["tags"])
    device = tags.pop("device", "")
    time = f"{datetime.fromisoformat(entry['time']).astimezone():%H:%M:%S}" if entry["time"] else ""
    words = [time or "--:--:--", entry["measurement"], device]
    words += [f"{name}:{value}" for name, value in tags.items()]
    words += _values(entry["fields"], entry["units"])
    return plain(" ".join(word for word in words if word))


def render_status(status: "Status") -> RenderableType:
    """The state, the sources, the ledger and the devices, for rich."""
    return Group(
        _head(status),
        *(Text(f"  {plain(problem)}", "yellow") for problem in status["health"]["problems"]),
        _table("Sources", ("source", "", "frames", "observations", "last frame", "problem"),
               _sources(status)),
        _table("Ledger", ("", "came", "went", ""), map(_equation, status["ledger"]["equations"])),
        _losses(status),
        _table("Devices", ("device", "measurement", "values", "age"),
               map(_device, status["devices"])),
        *_more(status),
    )  # fmt: skip


def _head(status: "Status") -> Text:
    state = status["health"]["status"]
    latency = status["commit_latency"]["p99_s"]
    store = status["store"]
    delivery = status["delivery"]
    parts = [
        f"{status['name']} {status['version']}",
        f"up {duration(status['uptime_s'])}",
        f"{store['pending_lines']} lines pending" if delivery else f"archive {store['path']}",
        f"delivery {delivery['state']}" if delivery else "",
        f"{store['dead_letters']} dead letters" if store["dead_letters"] else "",
        f"99 % on disk within {latency * 1e3:.0f} ms" if latency else "",
    ]
    words = ", ".join(plain(part) for part in parts if part)
    return Text.assemble((f"{state}  ", f"bold {_STYLES[state]}"), words)


def _sources(status: "Status") -> Iterator[tuple[str, ...]]:
    for name, source in status["ledger"]["sources"].items():
        if source["kind"] != "internal":
            yield _source(name, source)


def _source(name: str, source: "SourceStatus") -> tuple[str, ...]:
    counts = source["counts"]
    return (
        name,
        f"connected {source['detail']}".strip() if source["connected"] else "-",
        f"{counts['frames']}",
        f"{counts['observations']}",
        (source["last_frame"] or "-")[:19],
        source["problem"],
    )


def _equation(equation: "EquationStatus") -> tuple[str, ...]:
    return (
        equation["name"],
        _sum(equation["came"]),
        _sum(equation["went"]),
        "balanced" if equation["balanced"] else "DOES NOT BALANCE",
    )


def _sum(counts: Mapping[str, int]) -> str:
    """The terms that are not zero."""
    terms = [f"{count} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return " + ".join(terms) or "0"


def _losses(status: "Status") -> RenderableType:
    return _table(
        "Losses",
        ("source", "stage", "reason", "count", "last example"),
        (
            (loss["source"], loss["stage"], loss["reason"], f"{loss['count']}", loss["example"])
            for loss in status["ledger"]["losses"]
        ),
    )


def _device(device: "DeviceStatus") -> tuple[str, ...]:
    fields = {name: field["value"] for name, field in device["fields"].items()}
    units = {name: field["unit"] for name, field in device["fields"].items()}
    values = "  ".join(_values(fields, units))
    return device["device"], device["measurement"], values, duration(device["age_s"])


def _more(status: "Status") -> Iterable[Text]:
    if status["devices_more"]:
        yield Text(f"and {status['devices_more']} more devices")


def _table(title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> RenderableType:
    """A table, or nothing where it would be empty."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, header_style="dim", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    return table if table.row_count else Text()


def _values(fields: Mapping[str, FieldValue], units: Mapping[str, str]) -> list[str]:
    return [
        f"{name}={_number(value)}{_unit(units.get(name, ''))}" for name, value in fields.items()
    ]


def _number(value: FieldValue) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def _unit(code: str) -> str:
    """UCUM writes 1 where there is no unit."""
    return f" {code}" if code not in {"", "1"} else ""


def duration(seconds: float) -> str:
    """In the largest unit that fits."""
    for size_s, unit in _STEPS_S:
        if seconds >= size_s:
            return f"{seconds / size_s:.1f} {unit}"
    return f"{seconds:.0f} s"


def plain(text: str) -> str:
    """The text, that it may be shown on a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)

"""The structure is a contract: who may import whom, how large things may grow, what is banned.

Each rule is a function from source text to complaints, and has a test of its own that it can fail.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GATEWAY = sorted((ROOT / "gateway").rglob("*.py"))
SIMULATORS = sorted((ROOT / "simulators").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

WORDS = {
    "model",
    "quantities",
    "errors",
    "ledger",
    "times",
    "durations",
    "asking",
    "nearest",
    "names",
}
CORE = {
    "catalogue",
    "framing",
    "devices",
    "normalize",
    "series",
    "backoff",
    "batch_size",
    "redelivery",
    "topics",
    "payloads",
    "objects",
    "labels",
    "baudrates",
    "options",
    "patterns",
    "periodic",
    "protocols",
}
EDGES = {"transports", "spool", "sinks", "clock"}
FLOW = {"admission", "intake", "pipeline", "polling", "autobaud", "committer", "delivery", "dating"}
SHELL = {
    "cli",
    "cli_decode",
    "cli_options",
    "cli_spool",
    "output",
    "sources",
    "settings",
    "ports",
    "edges",
    "systemd",
    "service",
    "config",
    "app",
    "console",
    "check",
    "conformance",
    "decode",
    "decoders",
    "demo",
    "demo_servers",
    "export",
    "logs",
    "__main__",
}
RINGS = [WORDS, CORE, EDGES, FLOW, SHELL]

IMPURE = {
    "asyncio",
    "os",
    "socket",
    "time",
    "random",
    "logging",
    "pathlib",
    "subprocess",
    "sqlite3",
}
PURE_STDLIB_ROOTS = {
    "abc", "array", "ast", "binascii", "bisect", "collections", "contextlib", "dataclasses",
    "datetime", "decimal", "difflib", "enum", "functools", "hashlib", "importlib", "itertools",
    "json", "math", "operator", "pkgutil", "re", "string", "struct", "types", "typing",
    "unicodedata", "zlib", "zoneinfo",
}  # fmt: skip
PURE_EXCEPTIONS = {("gateway/payloads.py", "orjson")}
"""The one third-party library of the core: a JSON parser, pure itself."""

THIRD_PARTY_HOME = {
    "aiomqtt": {"gateway/transports/mqtt.py"},
    "paho": {"gateway/transports/mqtt.py"},
    "serial_asyncio": {"gateway/transports/serial.py"},
    "influxdb_client": {"gateway/sinks/influxdb.py"},
    "sqlite3": {"gateway/spool", "gateway/demo.py"},  # the demo asks as a user would
    "pydantic": {"gateway/config"},
    "prometheus_client": {"gateway/console"},
    "orjson": {"gateway/payloads.py"},
}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(source: str) -> Iterator[tuple[int, str]]:
    """Every module that the source imports, with the line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "absolute imports only"
            yield node.lineno, node.module or ""


def ring(module: str) -> int | None:
    """The ring of a gateway module by its first part: 0 words to 4 shell."""
    parts = module.split(".")
    if len(parts) < 2:
        return None
    name = "line_protocol" if parts[1:3] == ["sinks", "line_protocol"] else parts[1]
    if name == "line_protocol":
        return 1
    return next((i for i, names in enumerate(RINGS) if name in names), None)


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def layer_complaints(path: str, source: str) -> Iterator[str]:
    """Imports that go outwards, from one edge to another, or out of the pure core."""
    own = module_name(path)
    own_ring = ring(own)
    for line, name in imports(source):
        root = name.split(".")[0]
        if root == "simulators":
            yield f"{path}:{line}: gateway and simulators meet on the wire only"
        if root != "gateway":
            if own_ring is not None and own_ring <= 1:
                pure = root in PURE_STDLIB_ROOTS and root not in IMPURE
                if not pure and (path, root) not in PURE_EXCEPTIONS:
                    yield f"{path}:{line}: the pure core may not import {name}"
            continue
        other_ring = ring(name)
        if own_ring is None or other_ring is None:
            continue
        if other_ring > own_ring:
            yield f"{path}:{line}: {own} (ring {own_ring}) may not import {name} ({other_ring})"
        siblings = own.split(".")[1] != name.split(".")[1]
        if own_ring == other_ring == 2 and siblings and name != "gateway.clock":
            yield f"{path}:{line}: edges may not import one another"
        shared = own.startswith(("gateway.devices.", "gateway.protocols."))
        if shared and name.startswith("gateway.devices."):
            yield f"{path}:{line}: a device, and what devices share, never imports one"


def home_complaints(path: str, source: str) -> Iterator[str]:
    """Third-party libraries outside of the file that maps their errors."""
    for line, name in imports(source):
        root = name.split(".")[0]
        homes = THIRD_PARTY_HOME.get(root)
        if homes and not any(path.startswith(home) for home in homes):
            yield f"{path}:{line}: {root} belongs into {', '.join(sorted(homes))}"


def size_complaints(path: str, source: str) -> Iterator[str]:
    count = source.count("\n")
    if count > MODULE_LINES_MAX:
        yield f"{path}: {count} lines, at most {MODULE_LINES_MAX}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES_MAX:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, too many"


ISOLATION = {"gateway/intake.py", "gateway/pipeline.py"}
"""Where the failure of one device ends."""

BANNED = (
    (r"except (Exception|BaseException)\b", ISOLATION, "catch what you can mend"),
    (r"except:", set[str](), "name what you catch"),
    (r"(?<!\w)asyncio\.(create_task|ensure_future)\(", set[str](), "use a TaskGroup"),
    (r"(?<!\w)(loop|asyncio\.get_running_loop\(\))\.create_task\(", set[str](), "use a TaskGroup"),
    (r"\btime\.time(_ns)?\(|datetime\.now\(|utcnow\(", {"gateway/clock.py"}, "take a Clock"),
    (r"(?<![\w.])random\.(random|randint|choice|uniform|shuffle)\(", set[str](), "use a Random"),
    (r"(?<![\w.])eval\(|(?<![\w.])exec\(", set[str](), "never"),
    (r"hasattr\(self", set[str](), "make the state explicit"),
    (r"(?<![\w.])print\(", {"gateway/cli.py"}, "use the log"),
)  # fmt: skip


def ban_complaints(path: str, source: str) -> Iterator[str]:
    for number, line in enumerate(source.splitlines(), 1):
        for pattern, allowed, instead in BANNED:
            if path not in allowed and re.search(pattern, line.split("#")[0]):
                yield f"{path}:{number}: {line.strip()} -- {instead}"


@pytest.mark.parametrize(
    "rule", [layer_complaints, home_complaints, size_complaints, ban_complaints]
)
def test_the_gateway_keeps_its_structure(rule: object) -> None:
    assert callable(rule)
    complaints = [c for path in GATEWAY for c in rule(relative(path), path.read_text())]
    assert not complaints, "\n".join(complaints)


def test_every_gateway_module_has_a_ring() -> None:
    outside = [
        relative(path)
        for path in GATEWAY
        if relative(path) != "gateway/__init__.py" and ring(module_name(relative(path))) is None
    ]
    assert not outside


def test_the_simulators_are_an_independent_opinion() -> None:
    complaints = [
        f"{relative(path)}:{line}: imports {name}"
        for path in SIMULATORS
        for line, name in imports(path.read_text())
        if name.split(".")[0] == "gateway"
    ] + [c for path in SIMULATORS for c in size_complaints(relative(path), path.read_text())]
    assert not complaints, "\n".join(complaints)


def test_tests_stay_readable() -> None:
    complaints = [c for path in TESTS for c in size_complaints(relative(path), path.read_text())]
    assert not complaints, "\n".join(complaints)


def test_every_module_opens_with_its_strategy() -> None:
    bare = [
        relative(path)
        for path in GATEWAY + SIMULATORS
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not bare


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (layer_complaints, "gateway/normalize.py", "import asyncio\n"),
        (layer_complaints, "gateway/devices/text.py", "import requests\n"),
        (layer_complaints, "gateway/devices/text.py", "from gateway.devices.json import DEVICE\n"),
        (layer_complaints, "gateway/protocols/sml.py", "from gateway.devices.sml import DEVICE\n"),
        (layer_complaints, "gateway/model.py", "from gateway.normalize import Normalizer\n"),
        (layer_complaints, "gateway/spool/store.py", "import gateway.transports.serial\n"),
        (layer_complaints, "gateway/intake.py", "from gateway.app import run\n"),
        (layer_complaints, "gateway/app.py", "import simulators\n"),
        (home_complaints, "gateway/intake.py", "import aiomqtt\n"),
        (size_complaints, "gateway/x.py", "a = 1\n" * (MODULE_LINES_MAX + 1)),
        (size_complaints, "gateway/x.py", "def f():\n" + "    a = 1\n" * FUNCTION_LINES_MAX),
        (ban_complaints, "gateway/app.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
        (ban_complaints, "gateway/app.py", "asyncio.create_task(f())\n"),
        (ban_complaints, "gateway/normalize.py", "now = time.time_ns()\n"),
        (ban_complaints, "gateway/app.py", "print('x')\n"),
    ],
)
def test_a_rule_can_fail(rule: object, path: str, source: str) -> None:
    assert callable(rule)
    assert list(rule(path, source))

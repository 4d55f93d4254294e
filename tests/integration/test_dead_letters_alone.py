"""`dead-letters` and `spool` where no gateway runs: what they print, write, refuse and ask."""

import gzip
import json
import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest

from gateway.model import DeadLetter
from gateway.spool.lock import DataDir
from tests.integration.influxd import Influxd, needs_influxd
from tests.integration.letters import COMMAND_S, fill, refused, run, write
from tests.integration.rig import DATABASE, GATEWAY, GatewayProcess
from tests.spool.test_desk import T0_NS, points

pytestmark = pytest.mark.integration


@pytest.fixture
def alone(tmp_path: Path) -> GatewayProcess:
    """The configuration of a gateway that does not run."""
    gateway = GatewayProcess(tmp_path)
    gateway.configure("", influxdb="http://127.0.0.1:9")
    return gateway


def test_without_a_gateway_export_and_drop(alone: GatewayProcess, tmp_path: Path) -> None:
    fill(
        alone,
        [
            *refused(points(1, 2)),
            *refused(points(3, 3), 'bad\x1b[2J "words"'),
            *refused(points(4, 4), "beyond retention"),
        ],
        points(11, 12),
    )
    file = tmp_path / "dead.lp.gz"
    done = run(alone, "dead-letters", "export", str(file))
    assert done.code == 0
    assert "4 dead letters exported to" in done.err
    assert "sensor-gateway dead-letters drop --up-to 4\n" in done.err
    text = gzip.decompress(file.read_bytes()).decode()
    at = "2024-07-03T09:46:40.000Z"
    assert text.splitlines() == [
        f"# 1 {at} 400 field type conflict",
        points(1, 1)[0].decode(),
        f"# 2 {at} 400 field type conflict",
        points(2, 2)[0].decode(),
        f'# 3 {at} 400 bad\\x1b[2J "words"',
        points(3, 3)[0].decode(),
        f"# 4 {at} 400 beyond retention",
        points(4, 4)[0].decode(),
    ]
    some = run(alone, "dead-letters", "export", "--message", "beyond ret")
    assert some.out.splitlines()[1:] == [points(4, 4)[0].decode()]
    assert "drop --message 'beyond ret' --up-to 4\n" in some.err
    dropped = run(alone, "dead-letters", "drop", "--up-to", "3", "--yes")
    assert (dropped.code, dropped.out) == (0, "3 dead letters deleted.\n")
    left = json.loads(run(alone, "dead-letters", "list", "--json").out)
    assert [letter["id"] for letter in left["letters"]] == [4]
    assert (left["counts"]["kept"], left["counts"]["dropped"]) == (1, 3)
    pending = run(alone, "spool", "export")
    assert pending.out.encode().splitlines() == points(11, 12)
    assert "pending   2 lines" in run(alone, "spool", "show").out


@needs_influxd
def test_what_is_exported_can_be_written_to_influxdb(alone: GatewayProcess, tmp_path: Path) -> None:
    fill(alone, refused(points(1, 3), "line\nbreaks # and = signs"), [])
    file = tmp_path / "dead.lp"
    assert run(alone, "dead-letters", "export", str(file)).code == 0
    with Influxd(tmp_path) as influxd:
        influxd.query(f'CREATE DATABASE "{DATABASE}"')
        write(influxd, file.read_text())
        assert len(influxd.query("SELECT v FROM m", DATABASE)) == 3


def test_many_letters_are_summed_up(alone: GatewayProcess) -> None:
    fill(
        alone,
        [
            *refused(points(1, 10_000)),
            *(
                DeadLetter(line, 400, f"unable to parse '{line.decode()}': bad")
                for line in points(20_001, 20_500)
            ),
        ],
        [],
    )
    said = run(alone, "dead-letters", "list", "--limit", "3").out
    assert said.startswith("10500 dead letters kept, ")
    summary = re.findall(r"(?m)^ *(\d+) x  (\d+)  (.*)\n +(\d+) to (\d+),", said)
    assert summary == [
        ("500", "400", "unable to parse '...': bad", "10001", "10500"),
        ("10000", "400", "field type conflict", "1", "10000"),
    ]
    assert re.findall(r"(?m)^ +(\d+)  2", said.partition("The latest 3 of 10500")[2]) == [
        "10500",
        "10499",
        "10498",
    ]
    assert len(said.splitlines()) < 25
    done = run(alone, "dead-letters", "retry", "--message", "type conflict")
    assert done.out == "10000 lines put back for delivery.\n"
    assert json.loads(run(alone, "spool", "show", "--json").out)["pending_lines"] == 10_000


def test_a_time_before_2000_is_to_be_mended(alone: GatewayProcess) -> None:
    """From a boot whose clock was never set: nanoseconds since the boot."""
    fill(alone, [DeadLetter(b"m v=1 83000000000", 0, "no time was known")], [])
    shown = run(alone, "dead-letters", "show", "1").out
    assert "status       none: it was not sent" in shown
    assert "retry        only with --line: the line has a time before the year 2000" in shown
    vain = run(alone, "dead-letters", "retry", "--all")
    assert vain.code == 1
    assert "1 has a time before the year 2000; mend it" in vain.err
    done = run(alone, "dead-letters", "retry", "1", "--line", f"m v=1 {T0_NS}")
    assert (done.code, done.out) == (0, "1 line put back for delivery.\n")
    assert run(alone, "spool", "export").out == f"m v=1 {T0_NS}\n"


def test_a_line_is_shown_whole_and_commands_no_terminal(alone: GatewayProcess) -> None:
    line = b'm,device=d t="\x1b]0;title\x07\xe2\x80\xae\xff%s" %d' % (b"x" * 5000, T0_NS)
    fill(alone, refused([line], "no\x1b[2J"), [])
    for command in (("show", "1"), ("list",)):
        said = run(alone, "dead-letters", *command).out
        assert r"no\x1b[2J" in said
        assert rf'm,device=d t="\x1b]0;title\x07\u202e\udcff{"x" * 5000}" {T0_NS}' in said
        assert said.replace("\n", "").isprintable()


WRONG_USE = [
    ("retry",),
    ("drop",),
    ("retry", "1", "--all"),
    ("drop", "1", "--up-to", "3"),
    ("retry", "--all", "--line", "m f=1 1"),
    ("retry", "1", "2", "--line", "m f=1 1"),
    ("retry", "--message", ""),
    ("retry", "0"),
    ("retry", "99999999999999999999"),
    ("show",),
    ("show", "x"),
    ("list", "--limit", "0"),
    ("drop", "--all"),
]


def test_wrong_use_is_told_and_changes_nothing(alone: GatewayProcess) -> None:
    fill(alone, refused(points(1, 2)), [])
    before = run(alone, "dead-letters", "list").out
    for arguments in WRONG_USE:
        said = run(alone, "dead-letters", *arguments)
        assert (said.code, said.out) == (2, ""), arguments
        assert "Error: " in said.err
    assert "needs --yes" in run(alone, "dead-letters", "drop", "--all").err
    assert run(alone, "dead-letters", "list").out == before


def test_unknown_numbers_are_told_and_the_others_dealt_with(alone: GatewayProcess) -> None:
    fill(alone, refused(points(1, 4)), [])
    assert run(alone, "dead-letters", "show", "9") == (1, "", "there is no dead letter 9\n")
    assert run(alone, "dead-letters", "retry", "9", "1", "8") == (
        1,
        "1 line put back for delivery.\n",
        "there is no dead letter 8, 9\n",
    )
    assert run(alone, "dead-letters", "drop", "9", "2", "--yes") == (
        1,
        "1 dead letter deleted.\n",
        "there is no dead letter 9\n",
    )
    said = run(alone, "dead-letters", "retry", "9", "--line", f"m f=1 {T0_NS}")
    assert (said.code, said.err) == (1, "there is no dead letter 9\n")
    assert "2 dead letters kept" in run(alone, "dead-letters", "list").out


def test_where_there_is_nothing_to_ask(alone: GatewayProcess, tmp_path: Path) -> None:
    said = run(alone, "dead-letters", "list")
    assert said.code == 1
    assert said.err.endswith("no gateway has run there yet\n")
    file = tmp_path / "out.lp"
    assert run(alone, "dead-letters", "export", str(file)).code == 1
    assert not list(tmp_path.glob("out*"))
    alone.configure("")
    assert "readings go to the archive" in run(alone, "spool", "show").err
    fill(alone, [], [])
    with DataDir(alone.data_dir):
        said = run(alone, "spool", "show")
    assert said.code == 1
    assert f"process {os.getpid()} holds {alone.data_dir} and does not answer" in said.err
    assert run(alone, "dead-letters", "list").out.startswith("0 dead letters kept")
    assert run(alone, "dead-letters", "retry", "--all").out == "0 lines put back for delivery.\n"
    assert run(alone, "dead-letters", "drop", "--all").out == "0 dead letters deleted.\n"
    assert run(alone, "dead-letters", "export").err == "0 dead letters exported to -\n"
    alone.config.unlink()
    assert run(alone, "dead-letters", "list").code == 2


def on_a_terminal(gateway: GatewayProcess, keys: bytes, *arguments: str) -> tuple[int, str]:
    """The command on a terminal of 60 columns, where somebody presses keys."""
    pid, terminal = pty.fork()
    if not pid:
        os.environ["COLUMNS"] = "60"
        os.execv(  # noqa: S606
            sys.executable,
            [sys.executable, *GATEWAY, *arguments, "--config", str(gateway.config)],
        )
    os.write(terminal, keys)
    shown = b""
    deadline = time.monotonic() + COMMAND_S
    while select.select([terminal], [], [], max(deadline - time.monotonic(), 0))[0]:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        shown += part
    os.close(terminal)
    _, code = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(code), shown.decode().replace("\r\n", "\n")


def test_on_a_terminal_dropping_asks_first_and_lines_are_cut(alone: GatewayProcess) -> None:
    fill(alone, refused(points(1, 2, size=300)), [])
    code, shown = on_a_terminal(alone, b"n\n", "dead-letters", "drop", "--all")
    assert code == 1
    assert "Delete 2 dead letters for good? [y/N]: " in shown
    code, shown = on_a_terminal(alone, b"", "dead-letters", "list")
    assert code == 0
    assert "2 dead letters kept" in shown
    assert max(map(len, shown.splitlines())) == 60
    assert "xxxxx…\n" in shown
    code, shown = on_a_terminal(alone, b"", "dead-letters", "show", "1")
    assert "x" * 300 in shown
    code, shown = on_a_terminal(alone, b"y\n", "dead-letters", "drop", "--all")
    assert code == 0
    assert shown.endswith("2 dead letters deleted.\n")

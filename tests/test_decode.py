"""`sensor-gateway decode`: bytes in, observations out, and everything else counted."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import command
from gateway.cli_decode import iso_time
from gateway.decode import Decoding
from gateway.decoders import decoders
from gateway.devices import devices
from gateway.errors import ConfigError
from gateway.ledger import EQUATIONS
from gateway.model import Observation
from gateway.times import SINCE_BOOT_MAX_NS
from tests.specimens import specimens

NOON = 1_800_000_000_000_000_000
ROOT = Path(__file__).resolve().parent.parent

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command in this process, whose logging stays as it is."""
    monkeypatch.setattr("gateway.logs.configure", lambda **_: None)
    monkeypatch.setattr("gateway.clock.now_ns", lambda: NOON)

    def run_command(*words: str, given: bytes = b"") -> Result:
        return CliRunner().invoke(command, ["decode", *words], input=given)

    return run_command


def decoding(decoder: str, topic: str | None = None, **options: object) -> Decoding:
    return Decoding(devices()[decoder], options, topic, lambda: NOON)


def all_of(made: Decoding, chunks: Sequence[bytes]) -> list[Observation]:
    found = [observation for chunk in chunks for observation in made.feed(chunk)]
    return [*found, *made.close()]


def losses(made: Decoding) -> dict[str, int]:
    return {reason: loss.count for (_, _, reason), loss in made.ledger.losses.items()}


def test_one_json_object_per_observation_and_the_rest_counted(run: Run) -> None:
    result = run("text", given=b"temp=21.5 hum=45\r\nRebooting now...\npump=on\nte")
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {
            "measurement": "sensor",
            "tags": {"device": "text"},
            "fields": {"temperature": 21.5, "humidity": 45.0},
            "time": "2027-01-15T08:00:00Z",
        },
        {
            "measurement": "sensor",
            "tags": {"device": "text"},
            "fields": {"pump": 1.0},
            "time": "2027-01-15T08:00:00.000000001Z",
        },
    ]
    assert result.stderr.splitlines() == [
        "45 bytes, 3 frames: 2 decoded; 2 observations",
        "1 frame refused: syntax",
        "2 bytes of noise: interrupted",
    ]


def test_refusals_are_no_failure(run: Run) -> None:
    result = run("json", given=b"never any JSON\n")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "1 frame refused: syntax" in result.stderr


def test_verbose_shows_an_example_of_each(run: Run) -> None:
    result = run("text", "--verbose", given=b"Rebooting now...\n")
    assert "1 frame refused: syntax\n  Rebooting now...\n" in result.stderr


def test_a_file_and_line_protocol(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"temp=21.5\n")
    result = run("text", str(path), "--format", "lp")
    assert result.stdout == f"sensor,device=text temperature=21.5 {NOON}\n"


def test_with_a_topic_each_line_is_a_payload(run: Run) -> None:
    topic = "home/kitchen/temperature"
    result = run("value", "--topic", topic, "--format", "lp", given=b"21.5\r\n\n22")
    assert result.stdout.splitlines() == [
        f"sensor,device={topic} temperature={value} {NOON + after}"
        for after, value in enumerate((21.5, 22.0))
    ]
    assert result.stderr == "9 bytes, 2 frames: 2 decoded; 2 observations\n"


def test_a_decoder_of_streams_takes_payloads_too() -> None:
    made = decoding("json", "zigbee2mqtt/lamp")
    (observation,) = all_of(made, [b'{"power": 5}'])
    assert dict(observation.series.tags) == {"device": "zigbee2mqtt/lamp"}


@pytest.mark.parametrize("given", [b"", b"\n", b"21.5", b"21.5\n", b"21.5\n  ", b"\n\n21.5\n\n1"])
def test_every_byte_of_payloads_is_counted(given: bytes) -> None:
    made = decoding("value", "a/b")
    all_of(made, [given])
    assert made.account.bytes_received == len(given)
    assert made.account.bytes_framed + made.account.bytes_noise == len(given)
    assert made.account.bytes_buffered == 0


def test_a_payload_that_is_too_long_costs_only_itself() -> None:
    made = decoding("value", "a/b")
    found = all_of(made, [b"9" * (1 << 16) for _ in range(40)] + [b"\n21.5"])
    assert [dict(observation.fields) for observation in found] == [{"value": 21.5}]
    assert losses(made) == {"oversize": 40 * (1 << 16) + 1}


MEANINGLESS_ALONE = {"modbus", "modbus_tcp"}
"""An answer says which registers it holds only together with its question."""


@pytest.mark.parametrize("name", specimens())
def test_every_decoder_decodes_its_vectors_and_the_counts_add_up(name: str) -> None:
    specimen = specimens()[name]
    for vector in specimen.vectors:
        device = devices()[specimen.decoder]
        topic = vector.topic or None
        made = Decoding(device, vector.options, topic, lambda: NOON)
        all_of(made, [specimen.resync, vector.data[:7], vector.data[7:]])
        account = made.account
        assert bool(account.decoded) == (bool(vector.readings) and name not in MEANINGLESS_ALONE)
        for total in ("bytes", "frames", "quantities", "readings"):
            came, parts = EQUATIONS[total]
            assert getattr(account, came) == sum(getattr(account, part) for part in parts)


def test_options_are_toml_or_text(run: Run) -> None:
    given = b"21,5;17\n"
    result = run("text", "--option", 'columns=["temp (°C)", "x"]', given=given)
    assert json.loads(result.stdout)["fields"] == {"temperature": 21.5, "x": 17.0}
    given = b'{"id":"k1","t":1}\n'
    result = run("json", "--option", "device=id", given=given)
    assert json.loads(result.stdout)["tags"] == {"device": "k1"}
    result = run(
        "json",
        "--option",
        "timezone=Europe/Berlin",
        given=b'{"time":"2020-05-01T00:00:00","t":1}\n',
    )
    assert json.loads(result.stdout)["time"] == "2020-04-30T22:00:00Z"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tex"], 'no such decoder: tex; did you mean "text"?'),
        (["text", "--option", "column=1"], 'text: no such option: column; did you mean "columns"?'),
        (["text", "--option", "columns"], "text: option columns: KEY=VALUE is expected"),
        (["text", "--option", "columns=x"], "text: columns: a list of names is expected, not 'x'"),
        (["value", "--option", 'unit="x"\ny=1'], "value: unit: no such unit"),
    ],
)
def test_wrong_use_is_told_in_words(run: Run, words: list[str], told: str) -> None:
    result = run(*words)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.exit_code == 2
    assert str(result.exception) == told
    assert not result.stdout


def test_a_decoder_is_to_be_named(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "--list" in result.stderr


def test_the_list_shows_every_decoder_and_what_it_is_for(run: Run) -> None:
    result = run("--list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines == [f"{name:<12}{device.summary}" for name, device in decoders().devices.items()]


def test_a_devices_time_is_believed_however_old_but_not_as_a_clock_that_never_was_set() -> None:
    def time_of(seconds: float) -> int:
        (observation,) = all_of(decoding("json"), [b'{"ts":%d,"t":1}\n' % seconds])
        return observation.time_ns

    assert time_of(1_000_000_000) == 1_000_000_000 * 10**9
    assert time_of(4_000_000_000) == 4_000_000_000 * 10**9
    never_set = SINCE_BOOT_MAX_NS // 10**9 - 1
    assert time_of(never_set) == NOON


def test_the_first_line_is_whole_unless_noise_precedes_it() -> None:
    assert len(all_of(decoding("text"), [b"21.5\n21.6\n"])) == 2
    made = decoding("text")
    assert len(all_of(made, [b"\xff\xfe1.5\n21.6\n"])) == 1
    assert losses(made) == {"not_text": 2, "first_line": 1}


@pytest.mark.parametrize(
    ("time_ns", "shown"),
    [
        (1_714_557_600_000_000_000, "2024-05-01T10:00:00Z"),
        (1_714_557_600_500_000_000, "2024-05-01T10:00:00.5Z"),
        (1_714_557_600_000_000_010, "2024-05-01T10:00:00.00000001Z"),
        (1_714_557_610_123_456_789, "2024-05-01T10:00:10.123456789Z"),
    ],
)
def test_times_are_shown_to_the_nanosecond(time_ns: int, shown: str) -> None:
    assert iso_time(time_ns) == shown


def test_a_file_that_is_missing_is_told(run: Run) -> None:
    result = run("text", "/no/such/file")
    assert result.exit_code == 2
    assert "No such file" in result.stderr


def process(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", "decode", *words],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_a_pipe_is_decoded_as_it_comes() -> None:
    with process("text") as running:
        assert running.stdin is not None
        assert running.stdout is not None
        for value in (21.5, 22.5):
            running.stdin.write(b"temp=%f\n" % value)
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["fields"] == {"temperature": value}
        output, report = running.communicate()
    assert (running.returncode, output) == (0, b"")
    assert report == b"30 bytes, 2 frames: 2 decoded; 2 observations\n"


def test_a_reader_that_has_enough_ends_it_without_a_traceback(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"temp=21.5\n" * 100_000)
    with process("text", str(path)) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert b"Traceback" not in running.stderr.read()
        assert running.wait() == 1


def test_memory_does_not_grow_with_the_input() -> None:
    made = decoding("text")
    held = []
    tracemalloc.start()
    try:
        for _ in range(3):
            for _ in range(10):
                made.feed(b"temp=21.5 hum=45\n" * 500)
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[2] - held[1] < 10_000

"""Every point of the archive arrives, whatever the destination does, or is named."""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import export
from gateway.config import load
from gateway.config.models import Config
from gateway.errors import ConfigError, GatewayError, StoreError, TransportError
from gateway.export import export_archive
from gateway.model import FieldValue, Group, Observation, TimeSource
from gateway.sinks.line_protocol import make_series
from gateway.spool.archive import Archive
from gateway.spool.archive_reader import ArchiveReader
from simulators.influxdb import VERSIONS, Fault, Influx

T0_NS = 1_720_000_000 * 10**9


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Open for writing, as by a running gateway."""
    (tmp_path / "data").mkdir()
    opened = Archive.open(tmp_path / "data" / "archive.db", min_free=0)
    yield opened
    opened.close()


def point(i: int, **fields: FieldValue) -> Observation:
    series = make_series("sensor", {"device": f"d{i % 3}"})
    time_ns = T0_NS + i * 10**9
    return Observation(
        series, fields or {"temperature": float(i)}, time_ns, time_ns, TimeSource.ARRIVAL
    )


def fill(archive: Archive, count: int, *more: Observation) -> None:
    archive.commit(Group(rows=[*(point(i) for i in range(count)), *more]))


def lines(count: int) -> list[bytes]:
    return [
        b"sensor,device=d%d temperature=%d.0 %d" % (i % 3, i, T0_NS + i * 10**9)
        for i in range(count)
    ]


def configure(tmp_path: Path, server: Influx | None = None, more: str = "") -> Config:
    path = tmp_path / "gateway.toml"
    text = '[gateway]\ndata_dir = "data"\n'
    if server is not None:
        keys = 'org = "home"\nbucket = "sensors"\ntoken = "t"'
        keys = keys if server.version == 2 else 'database = "sensors"'
        text += f'[influxdb]\nversion = {server.version}\nurl = "{server.url}"\n{keys}\n{more}\n'
    path.write_text(text)
    return load(path, environ={})


async def run_export(config: Config, output: Path | None = None) -> list[str]:
    """What it said."""
    said: list[str] = []
    await export_archive(config, output, said.append)
    return said


async def failing_export(config: Config, output: Path | None = None) -> tuple[GatewayError, str]:
    """Why it ended, and the last it said."""
    said = [""]
    with pytest.raises(GatewayError) as caught:
        await export_archive(config, output, said.append)
    return caught.value, said[-1]


@pytest.mark.parametrize("version", VERSIONS)
async def test_everything_arrives_once_however_often_it_is_sent(
    tmp_path: Path, archive: Archive, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_LINES_MAX", 300)
    fill(archive, 1_000, point(1_000, state="on", voltage=12.5))
    async with Influx(version) as server:
        for _ in range(2):
            said = await run_export(configure(tmp_path, server))
            assert said == [f"1001 points exported to {server.url}, 0 refused"]
            assert len(server.points) == 1_001
        assert server.points[("sensor,device=d1", T0_NS + 1_000 * 10**9)] == {
            "state": "on",
            "voltage": 12.5,
        }
        assert server.writes == [300, 300, 300, 101] * 2


async def test_a_gateway_that_goes_on_writing_does_not_keep_it_busy(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive, 10)

    class Growing(ArchiveReader):
        def export_lines(self, *arguments: object) -> list[object]:  # type: ignore[override]
            archive.commit(Group(rows=[point(1_000 + archive.count())]))
            return super().export_lines(*arguments)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(export, "ArchiveReader", Growing)
    (said,) = await run_export(configure(tmp_path), tmp_path / "out.lp")
    assert said == f"10 points exported to {tmp_path}/out.lp, 0 refused"
    assert archive.count() > 10


async def test_line_protocol_goes_to_a_file_plain_or_compressed(
    tmp_path: Path, archive: Archive
) -> None:
    fill(archive, 100)
    config = configure(tmp_path)
    plain, compressed = tmp_path / "out.lp", tmp_path / "out.lp.gz"
    await run_export(config, plain)
    await run_export(config, compressed)
    assert plain.read_bytes().splitlines() == lines(100)
    assert gzip.decompress(compressed.read_bytes()) == plain.read_bytes()
    assert not plain.with_name("out.lp.part").exists()


async def test_line_protocol_goes_to_standard_output(
    tmp_path: Path, archive: Archive, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(archive, 100)
    await run_export(configure(tmp_path), Path("-"))
    assert capfd.readouterr().out.encode().splitlines() == lines(100)


async def test_a_pipe_stays_a_pipe(tmp_path: Path, archive: Archive) -> None:
    fill(archive, 3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    await run_export(configure(tmp_path), pipe)
    assert os.read(reader, 10_000).splitlines() == lines(3)
    assert pipe.is_fifo()
    os.close(reader)


async def test_an_output_file_is_used_although_the_configuration_names_influxdb(
    tmp_path: Path, archive: Archive
) -> None:
    fill(archive, 3)
    async with Influx(1) as server:
        await run_export(configure(tmp_path, server), tmp_path / "out.lp")
        assert server.points == {}
    assert (tmp_path / "out.lp").read_bytes().splitlines() == lines(3)


async def test_a_full_disk_leaves_no_half_file(tmp_path: Path, archive: Archive) -> None:
    fill(archive, 3)
    error, said = await failing_export(configure(tmp_path), Path("/dev/full"))
    assert str(error) == "/dev/full: No space left on device"
    assert said.startswith("0 points exported")
    missing = tmp_path / "no" / "such" / "out.lp"
    error, _ = await failing_export(configure(tmp_path), missing)
    assert str(error) == f"{missing}: No such file or directory"


async def test_nowhere_to_export_to(tmp_path: Path, archive: Archive) -> None:
    error, _ = await failing_export(configure(tmp_path))
    assert isinstance(error, ConfigError)
    assert "[influxdb]" in str(error)
    assert "--output" in str(error)


async def test_without_an_archive_it_says_so_and_makes_none(tmp_path: Path) -> None:
    error, _ = await failing_export(configure(tmp_path), tmp_path / "out.lp")
    assert isinstance(error, StoreError)
    assert "archive.db: no such file" in str(error)
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / "out.lp").exists()


async def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    foreign = tmp_path / "data" / "archive.db"
    for content in (b"", b"no database at all " * 100):
        foreign.write_bytes(content)
        error, _ = await failing_export(configure(tmp_path), tmp_path / "out.lp")
        assert isinstance(error, StoreError)
        assert foreign.read_bytes() == content


async def test_an_empty_archive_is_exported_at_once(tmp_path: Path, archive: Archive) -> None:
    async with Influx(1) as server:
        (said,) = await run_export(configure(tmp_path, server))
    assert said.startswith("0 points exported")


async def test_the_archive_of_a_gateway_that_was_killed_is_read_whole(
    tmp_path: Path, archive: Archive
) -> None:
    """What it had committed last is in SQLite's log, not in the file."""
    fill(archive, 50)
    copy = tmp_path / "copy" / "data"
    copy.mkdir(parents=True)
    for name in ("archive.db", "archive.db-wal"):
        (copy / name).write_bytes((tmp_path / "data" / name).read_bytes())
    await run_export(configure(tmp_path / "copy"), tmp_path / "out.lp")
    assert (tmp_path / "out.lp").read_bytes().splitlines() == lines(50)


async def test_refused_points_are_listed_with_the_words_of_the_server(
    tmp_path: Path, archive: Archive
) -> None:
    fill(archive, 20, point(20, temperature="high"))
    said: list[str] = []
    async with Influx(3) as server:
        with pytest.raises(TransportError, match="Not everything was taken"):
            await export_archive(configure(tmp_path, server), None, said.append)
        assert len(server.points) == 20
    refused, summary = said
    assert summary == f"20 points exported to {server.url}, 1 refused"
    assert refused.startswith("refused: ")
    assert "field type conflict" in refused
    assert refused.endswith(f': sensor,device=d2 temperature="high" {T0_NS + 20 * 10**9}')


async def test_a_database_that_refuses_everything_ends_it(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "REFUSED_MAX", 10)
    fill(archive, 200)
    async with Influx(3) as server:
        bad = Fault(400, '{"error": "partial write: points beyond retention policy dropped=1"}')
        server.faults.extend([bad] * 10_000)
        error, said = await failing_export(configure(tmp_path, server, 'batch_bytes = "1kB"'))
    assert "More than 10 points were refused" in str(error)
    assert said.startswith("0 points exported")


async def test_a_passing_outage_costs_nothing(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "RETRY_MAX_S", 0.01)
    fill(archive, 20)
    async with Influx(2) as server:
        server.faults.extend([Fault(503), Fault(cut=True), Fault(cut=True, applied=True)])
        (said,) = await run_export(configure(tmp_path, server))
        assert said.startswith("20 points exported")
        assert len(server.points) == 20


async def test_a_lasting_outage_ends_it(
    tmp_path: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "GIVE_UP_S", 0.01)
    fill(archive, 20)
    async with Influx(2) as server:
        server.faults.extend([Fault(503, '{"message": "busy"}')] * 1_000)
        error, said = await failing_export(configure(tmp_path, server))
    assert str(error) == "given up after 0.01 s: HTTP 503: busy"
    assert said.startswith("0 points exported")


async def test_what_only_the_operator_can_mend_ends_it_at_once(
    tmp_path: Path, archive: Archive
) -> None:
    fill(archive, 20)
    async with Influx(2, token="other") as server:
        error, _ = await failing_export(configure(tmp_path, server))
    assert str(error) == f"{server.url}: HTTP 401: unauthorized access"


async def test_a_reader_cannot_write(tmp_path: Path, archive: Archive) -> None:
    fill(archive, 3)
    reader = ArchiveReader(tmp_path / "data" / "archive.db")
    with pytest.raises(StoreError, match="may not be written"):
        fill(reader, 5)
    reader.close()
    assert archive.count() == 3

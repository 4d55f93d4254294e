"""A real InfluxDB 1.x in a directory of its own, on free loopback ports.

with Influxd(tmp_path) as server:
    server.url, server.query('SELECT * FROM "m"', database="d")
    server.kill(); server.start()
    server.suspend(); server.resume()
"""

import json
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from gateway.sinks.influxdb import InfluxSink, InfluxTarget
from tests.ports import free_port

START_S = 20.0

needs_influxd = pytest.mark.skipif(
    shutil.which("influxd") is None,
    reason="influxd is missing; Debian has it: apt-get install influxdb",
)

CONFIG = """
reporting-enabled = false
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  index-version = "inmem"
{data}
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  max-body-size = {body_bytes_max}
  log-enabled = false
  pprof-enabled = false
{http}
"""


def sink_of(server: "Influxd", database: str, timeout_s: float = 10.0) -> InfluxSink:
    return InfluxSink(
        InfluxTarget(1, server.url, database=database, timeout_s=timeout_s), time.time_ns
    )


async def count(sink: InfluxSink) -> object:
    """How many points have the field `f` in `m`."""
    rows = await sink.query_v1('SELECT count("f") FROM "m"')
    return rows[0]["count"] if rows else 0


class Influxd:
    """One server; ends with the context."""

    def __init__(
        self,
        directory: Path,
        *,
        body_bytes_max: int = 25_000_000,
        auth: bool = False,
        data: str = "",
        http: str = "",
    ) -> None:
        """`data` and `http` are further lines for these sections of its configuration."""
        self._directory = directory / "influxd"
        self._directory.mkdir()
        self._config = self._directory / "influxd.conf"
        port, rpc_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._config.write_text(
            CONFIG.format(
                directory=self._directory,
                port=port,
                rpc_port=rpc_port,
                body_bytes_max=body_bytes_max,
                auth=str(auth).lower(),
                data=data,
                http=http,
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start and wait until it answers."""
        with (self._directory / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["influxd", "run", "-config", str(self._config)],  # noqa: S607
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail((self._directory / "influxd.log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """End as a service manager would."""
        if self._process:
            self._process.terminate()
            self._process.wait(START_S)
            self._process = None

    def kill(self) -> None:
        """End as a power cut would."""
        if self._process:
            self._process.kill()
            self._process.wait(START_S)
            self._process = None

    def suspend(self) -> None:
        """From now on it takes connections and says nothing."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def query(
        self, query: str, database: str = "", username: str = "", password: str = ""
    ) -> list[dict[str, object]]:
        """Rows as columns and tags by name, times as nanoseconds; for seeing what is stored."""
        parameters = {"q": query, "db": database, "epoch": "ns", "u": username, "p": password}
        url = f"{self.url}/query?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, b"", START_S) as answer:  # noqa: S310
            (result,) = json.load(answer)["results"]
        assert "error" not in result, result["error"]
        return [
            series.get("tags", {}) | dict(zip(series["columns"], row, strict=True))
            for series in result.get("series", [])
            for row in series["values"]
        ]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/ping", timeout=1.0) as answer:  # noqa: S310
                return bool(answer.status == 204)
        except (urllib.error.URLError, OSError):
            return False

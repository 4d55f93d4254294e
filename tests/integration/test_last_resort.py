"""A disk that hangs while the store is opened: the signal ends the process all the same."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

HANGING = """
import sys, time
from gateway.spool.store import Spool
Spool.open = classmethod(lambda *args, **kwargs: (print("opening", flush=True), time.sleep(60)))
sys.argv = ["sensor-gateway", "run", "--config", sys.argv[1]]
from gateway.cli import main
main()
"""

CONFIG = """
[gateway]
data_dir = "{folder}/data"
[influxdb]
version = 1
url = "http://127.0.0.1:9"
database = "sensors"
[console]
listen = ""
"""


def test_a_store_that_does_not_open_cannot_hold_up_the_end(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG.format(folder=tmp_path))
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "opening\n"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert "something hangs" in errors

"""A real InfluxDB for the tests of a module that only add databases to it."""

from collections.abc import Iterator

import pytest

from tests.integration.influxd import Influxd


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    with Influxd(tmp_path_factory.mktemp("influx")) as server:
        yield server

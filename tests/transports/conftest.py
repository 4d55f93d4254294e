"""What the tests of the MQTT transport share."""

import pytest

from tests.transports.mqtt_peer import Protocol


@pytest.fixture(params=["5", "3.1.1"])
def protocol(request: pytest.FixtureRequest) -> Protocol:
    chosen: Protocol = request.param
    return chosen

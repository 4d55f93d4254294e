"""What a broker is asked for: every message once, whatever the subscriptions."""

from gateway.config.sources import Mqtt
from gateway.settings import broker_settings
from gateway.transports.mqtt import Subscription


def test_a_subscription_within_another_is_not_asked_for() -> None:
    entry = Mqtt.model_validate(
        {
            "name": "home",
            "url": "mqtt://localhost",
            "qos": 0,
            "subscribe": [
                {"topic": "s/{room}/t", "decoder": "value", "qos": 1, "retained": True},
                {"topic": "s/#", "decoder": "json"},
                {"topic": "elsewhere/+", "decoder": "value"},
            ],
        }
    )
    assert broker_settings(entry, "id").subscriptions == [
        Subscription("s/#", qos=1, retained=True),
        Subscription("elsewhere/+", qos=0, retained=False),
    ]

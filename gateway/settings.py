"""What an entry of the configuration means for the part that it describes: plain settings.

A part of the composition root: here `Config` ends for brokers and InfluxDB (`ports` has the rest).
"""

from gateway.config.models import InfluxDB
from gateway.config.sources import Mqtt
from gateway.sinks.influxdb import InfluxTarget
from gateway.topics import TopicPattern
from gateway.transports.mqtt import BrokerSettings, Subscription, TlsSettings


def influx_target(settings: InfluxDB) -> InfluxTarget:
    return InfluxTarget(
        version=settings.version,
        url=settings.url,
        database=settings.database or "",
        retention_policy=settings.retention_policy or "",
        org=settings.org or "",
        bucket=settings.bucket or "",
        token=settings.secret_token() or "",
        username=settings.username or "",
        password=settings.secret_password() or "",
        timeout_s=settings.timeout,
        ca_file=str(settings.ca_file or ""),
    )


def broker_settings(entry: Mqtt, client_id: str) -> BrokerSettings:
    host, port = entry.address()
    files = (
        str(file) if file else None for file in (entry.ca_file, entry.cert_file, entry.key_file)
    )
    tls = TlsSettings(*files) if entry.tls() else None
    return BrokerSettings(
        host=host,
        port=port,
        client_id=client_id,
        subscriptions=_asked_for(entry),
        tls=tls,
        username=entry.username,
        password=entry.secret_password(),
        protocol=entry.protocol,
        keepalive_s=round(entry.keepalive),
        max_unacknowledged_messages=entry.max_unacknowledged,
    )


def _asked_for(entry: Mqtt) -> list[Subscription]:
    """What to ask of the broker: of a topic in two subscriptions it may send each message twice.

    So one that lies within another is not asked for; the router still tells them apart.
    """
    patterns = [(TopicPattern.parse(wanted.topic), wanted) for wanted in entry.subscribe]
    asked = []
    for pattern, _ in patterns:
        if any(o.covers(pattern) and not pattern.covers(o) for o, _ in patterns):
            continue
        within = [wanted for other, wanted in patterns if pattern.covers(other)]
        qos = max(map(entry.qos_of, within))
        retained = any(map(entry.takes_retained, within))
        asked.append(Subscription(pattern.filter, qos, retained))
    return asked

"""What Prometheus scrapes: the ledger's counts, in a format its own parser takes."""

from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families

from gateway.console.metrics import exposition
from gateway.ledger import EQUATIONS
from tests.console.rig import Rig

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


def scrape(rig: Rig, wrong: tuple[str, ...] = ()) -> Samples:
    """Every sample by name and labels; a sample that comes twice fails."""
    samples: Samples = {}
    for family in text_string_to_metric_families(exposition(rig.gateway, wrong).decode()):
        assert family.documentation
        for sample in family.samples:
            key = (sample.name.removeprefix("sensor_gateway_"), frozenset(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
    return samples


def value(samples: Samples, name: str, /, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


async def test_the_counts_are_those_of_the_ledger(rig: Rig) -> None:
    rig.say('{"temperature": 20, "humidity": 40}', "no json", '{"temperature": NaN}')
    await rig.commit()
    rig.say('{"temperature": 21}')
    found = scrape(rig)
    assert value(found, "frames_total", source="mast", outcome="decoded") == 3
    assert value(found, "frames_total", source="mast", outcome="malformed") == 1
    assert value(found, "uncommitted", source="mast") == 1
    losses = {key: v for key, v in found.items() if key[0] == "losses_total"}
    assert len(losses) == 3
    assert value(found, "pending_lines") == rig.store.totals().pending
    lines = {dict(labels)["outcome"] for name, labels in found if name == "lines_total"}
    assert lines == {"delivered", "dead", "evicted", "corrupt"}, "a counter never goes down"
    assert value(found, "source_connected", source="mast", kind="serial") == 1
    assert value(found, "source_connections_total", source="mast") == 1
    assert value(found, "source_last_frame_timestamp_seconds", source="mast") == rig.now_ns / 1e9
    assert value(found, "delivery_state", state="idle") == 1
    assert value(found, "delivery_state", state="halted") == 0
    assert value(found, "ledger_balanced") == 1
    assert value(found, "info", name="attic", version="0.1.0") == 1


async def test_the_outcomes_of_a_noun_add_up_to_what_came(rig: Rig) -> None:
    rig.say('{"temperature": 20, "humidity": "nan"}', "no json")
    rig.account.polls, rig.account.answered, rig.account.timeouts = 3, 2, 1
    await rig.commit()
    found = scrape(rig)
    for name, (total, _) in EQUATIONS.items():
        outcomes = sum(
            v
            for (n, labels), v in found.items()
            if n == f"{name}_total" and ("source", "mast") in labels
        )
        assert outcomes == getattr(rig.account, total) > 0


async def test_the_latency_is_a_cumulative_histogram(rig: Rig) -> None:
    for age_ms in (0.5, 3, 30, 30, 40_000):
        rig.account.commit_latency.add(int(age_ms * 1e6))
    found = scrape(rig)
    buckets = {
        dict(labels)["le"]: v
        for (n, labels), v in found.items()
        if n == "commit_latency_seconds_bucket"
    }
    assert buckets["0.001"] == 1
    assert buckets["0.005"] == 2
    assert buckets["0.05"] == 4
    assert buckets["10.0"] == 4
    assert buckets["+Inf"] == 5 == value(found, "commit_latency_seconds_count")
    assert all(low <= high for low, high in pairwise(buckets.values()))
    assert 40.06 <= value(found, "commit_latency_seconds_sum") <= 40.06 * 1.125


async def test_devices_make_no_samples(rig: Rig) -> None:
    rig.say('{"id": "device", "temperature": 20}')
    await rig.commit()
    before = scrape(rig)
    for number in range(100):
        rig.say(f'{{"id": "device{number}", "quantity{number}": 20}}')
    await rig.commit()
    after = scrape(rig)
    assert after.keys() == before.keys()
    assert value(after, "series") == 101


async def test_an_imbalance_is_seen(rig: Rig) -> None:
    assert value(scrape(rig, ("mast: 1 frames came",)), "ledger_balanced") == 0

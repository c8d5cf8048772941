"""Metrics are named alike in the code, in docs/monitoring.md and in the alerts."""

import re
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr

from api.context import ApiState
from api.http.metrics import Metrics as ApiMetrics
from api.live.feeds.event_feed import EventFeed
from api.live.feeds.positions import PositionFeed
from api.live.limits import LiveLimits
from api.live.metrics import LiveMetrics
from api.live.streams import Streams
from db.core.connect import Limits, connect, pool
from db.core.standby import Standby
from db.core.wakeups import WakeUps
from ingest.metrics import IngestMetrics
from listener.link.ingest_link import Sender
from listener.settings import ListenSettings
from listener.stored.presence import Presence
from listener.stored.sessions import Sessions
from listener.worker import Worker
from mqtt import BrokerAddress, Session, SessionOptions
from service.collected import FormerName
from service.itself import watching_itself
from stack.cli.doctor import doctor_metrics
from stack.servers.checks import Finding
from webhooks.metrics import WebhookMetrics

ROOT = Path(__file__).parents[2]
PAGE, _, FORMER = (ROOT / "docs" / "monitoring.md").read_text().partition("## Former names")
ALERTS = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
NAME = r"\b(?:opsc|process)_[a-z_]+\b"
HISTOGRAM_PARTS = re.compile(r"_(bucket|sum|count)$")


async def known() -> dict[str, tuple[str, ...]]:
    """Name on the page to labels, of every role; without former names."""
    found: dict[str, tuple[str, ...]] = {}
    for registry in await registries():
        found |= names(registry)
    return found


async def registries() -> list[CollectorRegistry]:
    """Return what the page of every role shows."""
    connections = pool("postgresql://nobody@127.0.0.1:1/none", "none", max_size=1)
    wake_ups = WakeUps(partial(connect, "postgresql://nobody@127.0.0.1:1/none", "none"))
    nowhere = "postgresql://127.0.0.1:1"
    standby = Standby(connections, "postgresql://nobody@127.0.0.1:1/none", nowhere, Limits())
    api = ApiMetrics(connections.get_stats, wake_ups, standby)
    ingest, deliver = IngestMetrics(), WebhookMetrics()
    streams = Streams(cast(ApiState, SimpleNamespace(connections=connections)), 1, LiveLimits())
    feeds = EventFeed(connections, poll_s=1), [PositionFeed(connections)]
    LiveMetrics(api.registry, streams, *feeds)
    deliver.watch(connections, wake_ups)
    ingest.watch(Session(BrokerAddress.parse("mqtt://127.0.0.1:1"), SessionOptions("none")))
    ingest.watch_log(dict)
    settings = ListenSettings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    listener = Worker(settings, Sender(uuid4()), Sessions(), Presence()).metrics
    found = [api.registry, ingest.registry, deliver.registry, listener.registry]
    for registry in found:
        async with watching_itself(registry):
            pass
    return [*found, doctor_metrics([Finding("ok", "backup", "")])]


def names(registry: CollectorRegistry) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for collector in registry._collector_to_names:
        if isinstance(collector, FormerName):
            continue
        labels: tuple[str, ...] = getattr(collector, "_labelnames", ())
        found |= {name_of(family): labels for family in collector.collect()}
    return found


def name_of(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def metrics_of(query: str) -> list[str]:
    """Return the names of our metrics in a query, with the parts of histograms as they stand."""
    return re.findall(NAME, query)


def documented() -> dict[str, set[str]]:
    """Name to the labels in its row."""
    found: dict[str, set[str]] = {}
    for metrics, labels in re.findall(r"^\| (`[^|]*`) \| ([^|]*)\|", PAGE, re.MULTILINE):
        for name in re.findall(NAME, metrics):
            found[name] = set(re.findall(r"\w+", labels))
    return found


async def test_every_metric_is_documented_with_its_labels_and_no_other_is() -> None:
    metrics, pages = await known(), documented()
    assert pages.keys() == metrics.keys()
    for name, labels in metrics.items():
        assert set(labels) == pages[name], name


async def test_former_names_are_shown_with_the_same_values_and_documented() -> None:
    replaced: dict[str, str] = {}
    for registry in await registries():
        families = list(registry.collect())
        by_name = {name_of(family): family for family in families}
        for family in families:
            if family.documentation.startswith("deprecated: use "):
                name = replaced[name_of(family)] = family.documentation.rpartition(" ")[2]
                assert values(family) == values(by_name[name])
    assert replaced == dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", FORMER, re.MULTILINE))
    assert len(replaced) == 5
    asked = metrics_of(ALERTS + (ROOT / "deploy" / "grafana" / "ops-companion.json").read_text())
    assert not replaced.keys() & set(asked)


def values(family: Metric) -> list[tuple[dict[str, str], float]]:
    return [(sample.labels, sample.value) for sample in family.samples]


async def test_alerts_ask_only_for_metrics_and_labels_that_exist() -> None:
    metrics = await known()
    asked = {HISTOGRAM_PARTS.sub("", name) for name in metrics_of(ALERTS)}
    assert asked <= metrics.keys()
    for name, label in re.findall(rf"({NAME})\{{(\w+)[=!]", ALERTS):
        assert label in (*metrics[name], "job"), name


def test_every_alert_has_a_test() -> None:
    text = (ROOT / "deploy" / "prometheus" / "alerts_test.yml").read_text()
    raised = re.findall(r"alertname: (\w+)\n +exp_alerts", text)
    assert list(dict.fromkeys(raised)) == re.findall(r"- alert: (\w+)", ALERTS)

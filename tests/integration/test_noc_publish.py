"""``noc_publish``: what it publishes, and what it refuses before anything is written."""

import io
import json
import sys
from time import monotonic
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from apps.noc.feed.wire import FAILED, FIELDS
from apps.noc.management.commands import noc_publish
from outbox import log, relay
from outbox.lanes import lane_of
from outbox.models import Message

ANOMALY = {
    "anomaly_id": 1,
    "metric": "rtt_ms",
    "observed": 90.0,
    "expected": 20,
    "severity": "HIGH",
    "detected_at": "2026-01-01T10:30:00Z",
}


def publish(*options, payload=ANOMALY, type_="anomaly_detected", tenant="a"):
    text = payload if isinstance(payload, str) else json.dumps(payload)
    out = io.StringIO()
    call_command(
        "noc_publish", type_, "--tenant", tenant, "--subject", "anomaly:1", "--payload", text,
        *options, stdout=out,
    )  # fmt: skip
    return out.getvalue().split()


def refused(*options, **more):
    with pytest.raises(CommandError) as error:
        publish(*options, **more)
    assert not Message.objects.filter(stream__startswith="tenant:").exists()
    return str(error.value)


class TestPublishing:
    @pytest.mark.parametrize("by", ["code", "id"])
    def test_prints_the_event_id_and_names_who_did_it(self, world, captured, by):
        site = "SITE001" if by == "code" else str(world.a.near.pk)

        [event_id] = publish("--site", site)

        [event] = captured()
        assert event.type == "anomaly_detected"
        assert (event.stream, event.subject) == (f"tenant:{world.a.tenant.pk}", "anomaly:1")
        assert event.payload == ANOMALY | {"site_id": world.a.near.pk, "site_name": "Near a"}
        assert event.context["actor"].startswith("cli")
        assert str(Message.objects.get(event_id=UUID(event_id)).event_id) == event_id

    @pytest.mark.parametrize("type_", sorted(FIELDS.keys() - {FAILED}))
    def test_fills_in_what_the_type_has_of_the_site(self, world, captured, type_):
        values = {int: 1, str: "x", type(None): None}
        given = {
            key: next(values[kind] for kind in values if kind in kinds)
            for key, kinds in FIELDS[type_].items()
            if key not in ("site_id", "site_name", "old_site_id")
        }
        if "old_site_id" in FIELDS[type_]:
            given["old_site_id"] = world.a.far.pk

        publish("--site", "SITE001", payload=given, type_=type_)

        [event] = captured()
        assert event.payload.keys() == FIELDS[type_].keys()
        assert event.payload["site_id"] == world.a.near.pk
        assert event.payload.get("site_name", "Near a") == "Near a"

    def test_reads_standard_input(self, world, captured, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(ANOMALY)))

        publish("--site", "SITE001", payload="-", tenant=str(world.a.tenant.pk))

        assert len(captured()) == 1

    def test_dry_writes_nothing(self, world, captured):
        assert "nothing" in publish("--site", "SITE001", "--dry-run")
        assert captured() == []

    def test_finds_the_number_behind_those_of_others(self, world, redis_url):
        [first] = publish("--site", "SITE001")
        ids = [publish("--site", "SITE001")[0] for _ in range(3)]
        stream = f"tenant:{world.a.tenant.pk}"
        relay.drain(lane_of(stream, 8), deadline=monotonic() + 30)

        found = [noc_publish.number_of(stream, 0, UUID(each)) for each in (first, *ids)]

        assert found == [1, 2, 3, 4]
        assert log.head(stream).last_seq == 4

    def test_without_a_worker_says_so(self, world, monkeypatch):
        monkeypatch.setattr(noc_publish, "WAIT_SECONDS", 0.0)

        with pytest.raises(CommandError, match="worker"):
            publish("--site", "SITE001", "--wait")


class TestRefusals:
    def test_name_the_key_that_is_wrong(self, world):
        site = {"site_id": None, "site_name": None}
        assert "'metric'" in refused(payload=ANOMALY | site | {"metric": 7})
        assert "'site_id'" in refused()
        assert "'colour'" in refused(payload=ANOMALY | site | {"colour": "red"})

    def test_are_of_what_there_is_not(self, world):
        assert "anomaly_detected" in refused(type_="anomaly")
        assert "no type 'event_failed'" in refused("--site", "SITE001", type_="event_failed")
        assert "there are: a, b" in refused(tenant="c")
        assert "SITE001, SITE002" in refused("--site", "SITE009")

    @pytest.mark.parametrize("payload", ["[]", "{", "7", '{"observed": NaN}'])
    def test_are_of_what_is_no_object(self, world, payload):
        assert "JSON" in refused(payload=payload)

    def test_are_of_standard_input_that_is_no_text(self, world, monkeypatch):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))

        assert "JSON" in refused("--site", "SITE001", payload="-")

    @pytest.mark.parametrize("sign", ["\0", "\udcff"], ids=["NUL", "a byte that is no UTF-8"])
    def test_are_of_arguments_that_are_no_text(self, world, sign):
        assert "UTF-8" in refused(tenant=sign)
        assert "UTF-8" in refused("--site", sign)

    def test_are_of_what_is_too_large(self, world):
        assert "32,768" in refused("--site", "SITE001", payload=ANOMALY | {"metric": "x" * 32_768})

    def test_are_of_a_site_of_another_tenant(self, world):
        foreign = {"site_id": world.b.near.pk, "site_name": "Near b"}

        assert "no site of Tenant A" in refused(payload=ANOMALY | foreign)
        assert "no site" in refused("--site", str(world.b.near.pk))

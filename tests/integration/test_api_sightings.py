"""The lists of findings and anomalies, narrowed."""

import pytest

from apps.noc.models import Anomaly, Finding

PATHS = {Finding: "/api/v1/noc/findings/", Anomaly: "/api/v1/noc/anomalies/"}


@pytest.fixture(params=[Finding, Anomaly])
def seen(world, request):
    """Return how to list the words of what was seen near, far and nowhere in particular."""
    name = "title" if request.param is Finding else "metric"
    more = {} if request.param is Finding else {"observed": 1, "expected": 0}
    for site, severity, words in (
        (world.a.near, "HIGH", "Backup missing"),
        (world.a.near, "LOW", "Fan 100 % on"),
        (world.a.far, "HIGH", "Disk full"),
        (None, "CRITICAL", "Licence ends"),
        (world.b.near, "HIGH", "Backup of somebody else"),
    ):
        tenant = world.a.tenant if site is None else site.tenant
        request.param.objects.create(
            tenant=tenant, site=site, severity=severity, **{name: words}, **more
        )

    def listed(client, query):
        answer = client.get(f"{PATHS[request.param]}?{query}")
        if answer.status_code != 200:
            return answer.status_code
        return [row[name] for row in answer.json()["results"]]

    return listed


class TestFilter:
    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("severity=HIGH", ["Disk full", "Backup missing"]),
            ("severity=HIGH&severity=CRITICAL", ["Licence ends", "Disk full", "Backup missing"]),
            ("site={far}", ["Disk full"]),
            ("site={far}&site={near}&severity=LOW", ["Fan 100 % on"]),
            ("q=BACKUP", ["Backup missing"]),
            ("q=near 100 %25", ["Fan 100 % on"]),
            ("q=licence", ["Licence ends"]),
            ("q=", ["Licence ends", "Disk full", "Fan 100 % on", "Backup missing"]),
            ("site={foreign}", []),
            ("severity=x", 400),
            ("site=x", 400),
            ("q=%00", 400),
            ("q=" + "x" * 201, 400),
            ("status=NEW", 400),
        ],
    )
    def test_takes_those_that_are_meant(self, world, api, seen, query, wanted):
        query = query.format(far=world.a.far.pk, near=world.a.near.pk, foreign=world.b.near.pk)

        assert seen(api(world.a.operator), query) == wanted

    def test_leaves_the_scope_as_it_is(self, world, api, seen):
        client = api(world.a.site_operator)

        assert seen(client, f"site={world.a.far.pk}") == []
        assert seen(client, "severity=HIGH") == ["Backup missing"]

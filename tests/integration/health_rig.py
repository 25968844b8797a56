"""A system that is well, as far as the health checks can see, for tests that break one thing."""

from apps.noc.health import beats
from apps.noc.health.models import Canary
from apps.noc.health.perch import perch
from outbox import heartbeat

BEAT = "gen1@test"


def be_well() -> None:
    """Leave the signs of life of a worker and of beat, and a canary that was received."""
    heartbeat.beat(heartbeat.TIMER)
    heartbeat.beat(heartbeat.SWEEP)
    beats.heard(BEAT)
    Canary.objects.create(tenant_id=perch().tenant_id, stage=Canary.Stage.RECEIVED, seconds=0.03)

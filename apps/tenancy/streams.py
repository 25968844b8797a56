"""The outbox's stream of a tenant: one order for everything that its operators are told."""


def stream_of(tenant_id: int) -> str:
    return f"tenant:{tenant_id}"


def tenant_of(stream: str) -> int:
    """Return the tenant that the stream belongs to; raises ``ValueError`` for any other stream."""
    return int(stream.removeprefix("tenant:"))

"""Where the canary lives: a tenant of its own without sites, a user, and its way into the feed.

Nobody can log in as the user, and nobody knows the secret of its token: a run gets a single-use
ticket that stands for the token, so it leaves nothing behind. Without a site, the tenant is offered
to nobody who looks for one to open tickets at.
"""

from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.db import connection, transaction
from knox.models import AuthToken

from apps.tenancy import tickets
from apps.tenancy.models import CANARY_SLUG, Capability, Membership, Tenant

LOCK = int.from_bytes(b"cnry", "big")  # two first runs at once take turns


@dataclass(frozen=True, slots=True)
class Perch:
    """What a run needs: the tenant to write in, and the credential behind its tickets."""

    tenant_id: int
    user_id: int
    digest: str  # of the token

    def ticket(self) -> str:
        """
        Return a new single-use ticket for the websocket, as a subprotocol.

        Raises:
            TooManyTickets: ten of them were not used within 30 s.
        """
        credential = tickets.Credential(self.user_id, tickets.TOKEN, self.digest)
        return tickets.PREFIX + tickets.issue(credential)


def perch() -> Perch:
    """Return the canary's place; it is made on first use, and mended when somebody removed part."""
    return _found() or _made()


def _found() -> Perch | None:
    row = (
        AuthToken.objects.filter(
            user__username=CANARY_SLUG,
            user__is_active=True,
            user__membership__tenant__slug=CANARY_SLUG,
            user__membership__capabilities__contains=[Capability.NOC_VIEW],
            user__membership__all_sites=True,
            expiry=None,
        )
        .values_list("user__membership__tenant_id", "user_id", "digest")
        .first()
    )
    return None if row is None else Perch(*row)


@transaction.atomic
def _made() -> Perch:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    if (there := _found()) is not None:
        return there
    tenant, _ = Tenant.objects.get_or_create(slug=CANARY_SLUG, defaults={"name": "Canary"})
    user, made = User.objects.get_or_create(
        username=CANARY_SLUG, defaults={"password": make_password(None)}
    )
    if not made and not user.is_active:
        user.is_active = True
        user.save(update_fields=["is_active"])
    Membership.objects.update_or_create(
        user=user,
        defaults={"tenant": tenant, "capabilities": [Capability.NOC_VIEW], "all_sites": True},
    )
    AuthToken.objects.filter(user=user).delete()
    token, _secret = AuthToken.objects.create(user)  # nobody is ever told the secret
    return Perch(tenant.pk, user.pk, token.digest)

"""Tenants, their sites, and the membership that ties a user to exactly one tenant."""

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import TransactionNow
from django.contrib.sessions.models import Session
from django.db import models
from django.db.models.functions import Now
from knox.models import AuthToken

from apps.tenancy.triggers import (
    account_access,
    membership_access,
    scope_of_all_sites,
    scope_of_sites,
    session_access,
    site_of_same_tenant,
    tenant_access,
    tenant_is_fixed,
    token_access,
)


class Capability(models.TextChoices):
    """What a membership may allow. None implies another."""

    NOC_VIEW = "noc:view", "see the live feed and everything in scope"
    TICKET_WRITE = "ticket:write", "create and change tickets"
    TENANT_ADMIN = "tenant:admin", "manage the tenant's sites and members"


# The tenant of the canary, see apps/noc/health/canary.py: nobody's, and never chosen as a customer.
CANARY_SLUG = "noc-canary"


class Tenant(models.Model):
    """One customer. Nothing of it is ever shown to another."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=50, unique=True)
    suspended_at = models.DateTimeField(
        null=True, blank=True, help_text="Set: its users are shut out, its data stays."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = [tenant_access()]

    def __str__(self) -> str:
        return self.name


class Site(models.Model):
    """A place of a tenant that tickets come from."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, related_name="sites", db_index=False
    )
    code = models.CharField(max_length=32, help_text="Begins the ticket numbers: SITE001#42.")
    name = models.CharField(max_length=100)
    last_ticket_no = models.PositiveIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="The last number drawn; the next ticket adds one.",
    )

    class Meta:
        constraints = [
            # Its index also finds the sites of a tenant, so the foreign key has none of its own.
            models.UniqueConstraint(fields=["tenant", "code"], name="site_code_once_per_tenant"),
            # What other tables' (site_id, tenant_id) refer to.
            models.UniqueConstraint(fields=["id", "tenant"], name="site_with_tenant"),
            models.CheckConstraint(
                condition=models.Q(code__regex=r"^[^#[:space:]]+$"), name="site_code_is_one_word"
            ),
        ]
        triggers = [tenant_is_fixed()]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Membership(models.Model):
    """What one user may do and see. A user belongs to one tenant."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="memberships")
    capabilities = ArrayField(
        models.CharField(max_length=32, choices=Capability), default=list, db_default=[], blank=True
    )
    all_sites = models.BooleanField(
        db_default=False, default=False, help_text="Sees every site, also those added later."
    )
    sites = models.ManyToManyField(
        Site, blank=True, help_text="The sites in scope when not all of them are."
    )
    created_at = models.DateTimeField(db_default=TransactionNow(), editable=False)
    # Both set by the database when the sites change, see Note [Cursors of another scope].
    scope_seq = models.BigIntegerField(
        null=True,
        editable=False,
        help_text="A cursor of the tenant's stream up to here was built under other sites.",
    )
    scope_changed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(capabilities__contained_by=Capability.values),
                name="membership_known_capabilities",
            )
        ]
        triggers = [tenant_is_fixed(), scope_of_all_sites(), *membership_access()]

    def __str__(self) -> str:
        return f"{self.user} in {self.tenant}"


class MembershipSite(Membership.sites.through):  # type: ignore[name-defined]
    """The rows behind ``Membership.sites``, named so that they can carry a trigger."""

    class Meta:
        proxy = True
        triggers = [site_of_same_tenant(), scope_of_sites()]


class WsTicket(models.Model):
    """A single-use way into the websocket, for who made it; valid for seconds."""

    digest = models.CharField(max_length=64, primary_key=True)
    # Unconstrained in the database: a row that outlives its user leads nowhere and expires.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False
    )
    kind = models.CharField(max_length=8, help_text="What it was made with: session or token.")
    key = models.CharField(max_length=128, help_text="The session's key or the token's digest.")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"ticket of user {self.user_id}"


class KeptAnswer(models.Model):
    """What a write with an ``Idempotency-Key`` was answered; see apps/tenancy/http/once.py."""

    # Unconstrained in the database, and unindexed since the constraint below begins with it.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False, db_index=False
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="Of the request and the scope.")
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.TextField()
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Who sends the same key at the same time waits here.
            models.UniqueConstraint(fields=["user", "key"], name="kept_answer_once_per_key")
        ]
        indexes = [models.Index(fields=["made_at"], name="kept_answer_age")]

    def __str__(self) -> str:
        return f"answer {self.status} to user {self.user_id}"


class Throttle(models.Model):
    """
    How often somebody asked in the present window; see apps/tenancy/http/throttles.py.

    UNLOGGED, by its migration: nothing is written ahead and no commit waits for the disk. A crash
    of the database empties it, which opens a new window for everybody.
    """

    key = models.TextField(primary_key=True)
    count = models.BigIntegerField()
    ends_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


class Device(models.Model):
    """A token that has a name. It goes with the token, also when SQL deletes that."""

    # The migration makes the foreign key itself, so that the database cascades.
    token = models.OneToOneField(
        AuthToken, on_delete=models.CASCADE, related_name="device", db_constraint=False
    )
    name = models.CharField(max_length=100)
    read_only = models.BooleanField(
        db_default=False, default=False, help_text="It may read, and open the feed."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(
        null=True, editable=False, help_text="Written once a minute at most."
    )

    def __str__(self) -> str:
        return self.name


# Tables of others, named so that they can carry triggers; nothing else uses these classes.


class WatchedUser(User):
    class Meta:
        proxy = True
        default_permissions = ()
        triggers = account_access()


class WatchedSession(Session):
    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [session_access()]


class WatchedToken(AuthToken):
    class Meta:
        proxy = True
        default_permissions = ()
        triggers = token_access()

"""A filter of the page under a name."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from apps.tenancy.models import Tenant
from apps.tenancy.triggers import tenant_is_fixed

MOST_PER_USER = 100
QUERY_LENGTH = 1_000


class SavedView(models.Model):
    """
    One user's filter; shared ones are seen by the whole tenant.

    It holds what to look for and none of what is found: who opens it sees their own scope.
    Those of a user who left for another tenant stay behind, so names are taken, and views counted,
    within the tenant.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_index=False)
    name = models.CharField(max_length=100)
    query = models.CharField(
        max_length=QUERY_LENGTH, blank=True, help_text="The query string of the page's address."
    )
    shared = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "tenant", "name"], name="saved_view_name_once_per_owner"
            )
        ]
        triggers = [tenant_is_fixed()]

    def __str__(self) -> str:
        return self.name

"""The actors that events name, like ``user:7``, as the people of a tenant."""

import re
from collections.abc import Iterable, Mapping

from django.contrib.auth.models import User

from apps.tenancy.names import display_name

_USER = re.compile(r"user:([0-9]{1,9})", re.ASCII)


def names_of(actors: Iterable[str | None], *, tenant_id: int) -> Mapping[str | None, str]:
    """
    Return the display name of each actor that is a user of the tenant, in one query.

    Programs, users of other tenants (the provider's staff) and those that are gone have none.
    """
    ids = {int(found[1]): actor for actor in actors if (found := _USER.fullmatch(actor or ""))}
    if not ids:
        return {}
    users = User.objects.filter(pk__in=ids, membership__tenant_id=tenant_id)
    return {ids[user.pk]: display_name(user) for user in users}

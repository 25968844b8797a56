"""What a user may see and do is what the database says now."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import IntegrityError
from django.utils import timezone
from knox.models import AuthToken

from apps.tenancy.access import access_of, refusal_of
from apps.tenancy.models import Membership, Site
from apps.tenancy.tokens import Holder, digest_of, live_tokens, new_token


class TestAccess:
    def test_of_an_operator_is_every_site(self, world):
        access = access_of(world.a.operator)

        assert access.tenant_id == world.a.tenant.pk
        assert access.sites is None
        assert access.may("noc:view")
        assert access.may("ticket:write")
        assert not access.may("tenant:admin")
        assert access.sees(world.a.far.pk)
        assert access.sees(None)

    def test_of_a_site_operator_is_their_sites_alone(self, world):
        access = access_of(world.a.site_operator)

        assert access.sites == {world.a.near.pk}
        assert access.sees(world.a.near.pk)
        assert not access.sees(world.a.far.pk)
        assert not access.sees(None)

    def test_of_a_member_with_no_site_is_nothing_to_see(self, world):
        world.a.site_operator.membership.sites.clear()

        assert access_of(world.a.site_operator).sites == frozenset()

    def test_is_read_anew_each_time(self, world):
        user = world.a.operator
        assert access_of(user) is not None

        User.objects.filter(pk=user.pk).update(is_active=False)

        assert access_of(user) is None

    def test_is_one_query(self, world, django_assert_num_queries):
        with django_assert_num_queries(1):
            access_of(world.a.site_operator)


class TestRefusal:
    def test_is_none_for_who_may_watch(self, world):
        assert refusal_of(world.a.reader) is None

    def test_names_what_is_missing(self, world):
        stranger = User.objects.create(username="stranger")
        User.objects.filter(pk=world.b.reader.pk).update(is_active=False)
        world.a.tenant.suspended_at = timezone.now()
        world.a.tenant.save()

        assert refusal_of(AnonymousUser()) == "anonymous"
        assert refusal_of(stranger) == "no_membership"
        assert refusal_of(world.b.guest) == "no_noc_view"
        assert refusal_of(world.b.reader) == "inactive"
        assert refusal_of(world.a.operator) == "tenant_suspended"
        assert access_of(world.a.operator) is None


def holder_of(raw: str) -> Holder | None:
    digest = digest_of(raw)
    return None if digest is None else next(iter(live_tokens([digest])), None)


class TestToken:
    def test_leads_to_its_user(self, world):
        assert holder_of(new_token(world.a.operator)).user_id == world.a.operator.pk

    @pytest.mark.parametrize(
        "raw", ["", "x", "0" * 64, "\x00", "\udcff", "a b", "ä" * 15, "x" * 10_000]
    )
    def test_that_is_none_leads_nowhere(self, world, raw):
        assert holder_of(raw) is None

    def test_that_has_expired_leads_nowhere(self, world):
        token = new_token(world.a.operator)
        AuthToken.objects.update(expiry=timezone.now())

        assert holder_of(token) is None


class TestDatabase:
    def test_refuses_a_site_of_another_tenant_in_a_membership(self, world):
        with pytest.raises(IntegrityError, match="not of the tenant"):
            world.a.site_operator.membership.sites.add(world.b.near)

    def test_refuses_to_move_a_site_or_a_membership_to_another_tenant(self, world):
        for rows in (Site.objects.filter(pk=world.a.near.pk), Membership.objects.all()[:1]):
            row = rows.get()
            row.tenant = world.b.tenant
            with pytest.raises(IntegrityError, match="stays there"):
                row.save()

    def test_refuses_an_unknown_capability(self, world):
        with pytest.raises(IntegrityError, match="known_capabilities"):
            Membership.objects.update(capabilities=["noc:view", "root"])

    def test_refuses_the_same_site_code_twice_in_a_tenant(self, world):
        with pytest.raises(IntegrityError, match="site_code_once_per_tenant"):
            Site.objects.create(tenant=world.a.tenant, code="SITE001", name="again")

    @pytest.mark.parametrize("code", ["", "A B", "A#1"])
    def test_refuses_a_site_code_that_would_spoil_ticket_numbers(self, world, code):
        with pytest.raises(IntegrityError, match="site_code_is_one_word"):
            Site.objects.create(tenant=world.a.tenant, code=code, name="x")

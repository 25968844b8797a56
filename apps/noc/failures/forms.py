"""The forms of the admin: which dead letters, which delivered events, and what to do with them."""

import re
from typing import Any

from django import forms
from django.db.models import QuerySet

from apps.noc.failures.letters import dead_letters
from apps.noc.failures.scope import Scope
from apps.tenancy.http.bodies import BIGGEST_ID
from apps.tenancy.models import Site, Tenant
from apps.tenancy.streams import stream_of
from outbox.models import DeadLetter, Reason
from outbox.replay import Choice
from outbox.replay.choice import LOG
from outbox.replay.start import MAX_RATE, RATE, REASON_LENGTH

ANY_STATE = "all"
SHORT = 200  # characters of a name that is looked for
_IDS = re.compile(r"\A[0-9]{1,18}(,[0-9]{1,18}){0,499}\Z")


class Moment(forms.DateTimeField):
    """A time in UTC."""

    widget = forms.DateTimeInput(
        attrs={"type": "datetime-local", "step": 1}, format="%Y-%m-%dT%H:%M:%S"
    )


class Which(forms.Form):
    """What both kinds of events are chosen by. ``tenants`` and ``sites`` are those in scope."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), required=False, empty_label="all")
    type = forms.CharField(required=False, max_length=SHORT)
    subject = forms.CharField(
        required=False,
        max_length=SHORT,
        label="Ticket or subject",
        widget=forms.TextInput(attrs={"placeholder": "42 or ticket:42"}),
    )
    since = Moment(required=False, label="Since (UTC)")
    until = Moment(required=False, label="Before (UTC)")

    def __init__(
        self, data: Any, *, scope: Scope, tenants: QuerySet[Tenant], sites: QuerySet[Site]
    ) -> None:
        super().__init__(data)
        self.scope = scope
        if scope.stream is not None:
            del self.fields["tenant"]
        else:
            self._offer("tenant", tenants)
        if "site" in self.fields:
            self._offer("site", sites)

    def _offer(self, name: str, rows: QuerySet[Any]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101
        field.queryset = rows

    def clean_subject(self) -> str:
        """A number alone is a ticket's."""
        subject: str = self.cleaned_data["subject"].strip()
        return f"ticket:{subject}" if subject.isascii() and subject.isdigit() else subject

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        since, until = given.get("since"), given.get("until")
        if since and until and since >= until:
            self.add_error("until", "This is not after its beginning.")
        return given

    def _common(self) -> dict[str, Any]:
        given = self.cleaned_data
        tenant, site = given.get("tenant"), given.get("site")
        tenant_id = tenant.pk if tenant else site.tenant_id if site else None  # for the index
        return {
            "stream": stream_of(tenant_id) if tenant_id else None,
            "types": [given["type"]] if given["type"] else None,
            "subject": given["subject"] or None,
            "since": given["since"],
            "until": given["until"],
        }


class DeadLetterFilter(Which):
    """The filter beside the list; what it means is the choice of a replay."""

    state = forms.ChoiceField(
        required=False,
        choices=[
            ("", "dead"),
            ("replayed", "replayed"),
            ("discarded", "discarded"),
            (ANY_STATE, "all"),
        ],
    )
    reason = forms.ChoiceField(required=False, choices=[("", "all"), *Reason.choices])
    fingerprint = forms.CharField(required=False, max_length=64, label="Cause (fingerprint)")
    site = forms.ModelChoiceField(Site.objects.none(), required=False, empty_label="all")
    text = forms.CharField(required=False, max_length=SHORT, label="Text in the error")
    ids = forms.RegexField(_IDS, required=False, widget=forms.HiddenInput)
    field_order = ["state", "reason", "type", "fingerprint", "text", "tenant", "site", "subject",
                   "since", "until", "ids"]  # fmt: skip

    def wanted_state(self) -> str | None:
        """Return the state to show; None for any."""
        given: str = self.cleaned_data["state"]
        return None if given == ANY_STATE else given or DeadLetter.State.DEAD.value

    def choice(self) -> Choice:
        given = self.cleaned_data
        site = given.get("site")
        chosen = None
        if given["ids"]:
            ids = [int(text) for text in given["ids"].split(",")]
            found = self.scope.dead_letters().filter(id__in=ids)
            chosen = list(found.values_list("event_id", flat=True))
        return self.scope.choice(
            **self._common(),
            site_id=site.pk if site else None,
            reasons=[given["reason"]] if given["reason"] else None,
            fingerprint=given["fingerprint"] or None,
            text=given["text"] or None,
            event_ids=chosen,
        )

    def rows(self) -> QuerySet[DeadLetter]:
        return dead_letters(self.choice(), state=self.wanted_state())


class DeliveredFilter(Which):
    """Delivered events: a range of one tenant's log."""

    first_seq = forms.IntegerField(
        required=False, min_value=1, max_value=BIGGEST_ID, label="From event number (seq)"
    )
    last_seq = forms.IntegerField(
        required=False, min_value=1, max_value=BIGGEST_ID, label="To and with event number"
    )
    field_order = ["tenant", "first_seq", "last_seq", "since", "until", "type", "subject"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "tenant" in self.fields:
            self.fields["tenant"].required = True

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        first, last = given.get("first_seq"), given.get("last_seq")
        if first and last and first > last:
            self.add_error("last_seq", "This is before the first one.")
        by_seq, by_time = first and last, given.get("since") and given.get("until")
        if not self.errors and not by_seq and not by_time:
            raise forms.ValidationError(
                "Give a range: the first and the last event number, or both times."
            )
        return given

    def choice(self) -> Choice:
        given = self.cleaned_data
        return self.scope.choice(
            source=LOG,
            **self._common(),
            first_seq=given["first_seq"],
            last_seq=given["last_seq"],
        )


class Confirmation(forms.Form):
    """Says why, and which set was looked at."""

    fingerprint = forms.CharField(max_length=64, widget=forms.HiddenInput)
    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Kept with the replay: what was wrong, and why it is mended now.",
    )
    rate = forms.IntegerField(
        min_value=1, max_value=MAX_RATE, initial=RATE, label="Events per second"
    )


class LaneReason(forms.Form):
    """Why a lane is paused, resumed or skipped."""

    reason = forms.CharField(
        max_length=REASON_LENGTH,
        widget=forms.Textarea(attrs={"rows": 3, "cols": 60}),
        help_text="Kept with the action.",
    )

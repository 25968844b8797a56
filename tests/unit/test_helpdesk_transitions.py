"""The table of transitions, against what people do and what a real service desk's log shows."""

import pytest

from apps.helpdesk import transitions
from apps.helpdesk.errors import IllegalTransition
from apps.helpdesk.status import OPEN, Status

# Every change of state in 890 incidents of a ServiceNow audit log, in order of time.
SEEN_IN_LOGS = [
    ("NEW", "IN_PROGRESS"),
    ("NEW", "ON_HOLD"),
    ("NEW", "RESOLVED"),
    ("NEW", "CLOSED"),
    ("IN_PROGRESS", "ON_HOLD"),
    ("IN_PROGRESS", "RESOLVED"),
    ("ON_HOLD", "IN_PROGRESS"),
    ("ON_HOLD", "RESOLVED"),
    ("RESOLVED", "CLOSED"),
    ("RESOLVED", "IN_PROGRESS"),
    ("RESOLVED", "NEW"),
]


class TestTransitions:
    def test_name_every_status(self):
        assert set(transitions.ALLOWED) == set(Status.values)

    @pytest.mark.parametrize(("present", "to"), SEEN_IN_LOGS)
    def test_allow_what_real_logs_show(self, present, to):
        transitions.check(present, to)

    @pytest.mark.parametrize("present", Status.values)
    def test_refuse_the_same_status_and_say_so(self, present):
        with pytest.raises(IllegalTransition, match=f"already {present}"):
            transitions.check(present, present)

    @pytest.mark.parametrize("present", ["CLOSED", "CANCELLED"])
    @pytest.mark.parametrize("to", OPEN)
    def test_end_at_closed_and_cancelled(self, present, to):
        with pytest.raises(IllegalTransition, match=f"{present} is final"):
            transitions.check(present, to)

    def test_refused_name_what_is_allowed(self):
        with pytest.raises(IllegalTransition, match="CLOSED, IN_PROGRESS, NEW, ON_HOLD") as refused:
            transitions.check("RESOLVED", "CANCELLED")

        assert refused.value.allowed == {"CLOSED", "IN_PROGRESS", "NEW", "ON_HOLD"}

    def test_lead_to_an_end_from_everywhere_open(self):
        assert all({"CLOSED", "CANCELLED"} & transitions.ALLOWED[status] for status in OPEN)

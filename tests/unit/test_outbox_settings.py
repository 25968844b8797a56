"""settings.OUTBOX as one object, and its system checks."""

import pytest

from outbox import checks, failpoints
from outbox.conf import OutboxSettings, outbox_settings
from outbox.errors import BadSettings

MINIMAL = {"sink": "os.getcwd", "waker": "os.getcwd"}


class TestOutboxSettings:
    def test_need_only_a_sink_and_a_waker(self, settings):
        settings.OUTBOX = MINIMAL

        assert (outbox_settings().lanes, outbox_settings().batch) == (8, 500)

    def test_are_read_anew_when_they_change(self, settings):
        settings.OUTBOX = MINIMAL | {"batch": 3}
        assert outbox_settings().batch == 3
        settings.OUTBOX = MINIMAL | {"batch": 4}
        assert outbox_settings().batch == 4

    @pytest.mark.parametrize("missing", ["sink", "waker"])
    def test_name_what_is_missing(self, missing, settings):
        settings.OUTBOX = {key: value for key, value in MINIMAL.items() if key != missing}
        with pytest.raises(BadSettings, match=missing):
            outbox_settings()

    def test_name_what_is_unknown(self, settings):
        settings.OUTBOX = MINIMAL | {"lane": 8}
        with pytest.raises(BadSettings, match=r"\['lane'\]; known are .*'lanes'"):
            outbox_settings()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("lanes", 0),
            ("lanes", 1025),
            ("lanes", "8"),
            ("lanes", 8.0),
            ("lanes", None),
            ("lanes", True),
            ("batch", 0),
            ("batch", 5_001),
            ("push_rounds", 0),
            ("partitions_ahead_days", 0),
            ("partitions_ahead_days", 61),
            ("keep_days", 0),
            ("keep_days", 36_501),
        ],
    )
    def test_refuse_what_is_out_of_range(self, key, value):
        with pytest.raises(BadSettings, match=key):
            OutboxSettings(**(MINIMAL | {key: value}))

    @pytest.mark.parametrize(("key", "value"), [("sink", None), ("waker", ""), ("sink", 7)])
    def test_refuse_a_path_that_is_no_text(self, key, value):
        with pytest.raises(BadSettings, match=key):
            OutboxSettings(**(MINIMAL | {key: value}))


class TestChecks:
    @pytest.fixture(autouse=True)
    def disarmed(self):
        yield
        failpoints.arm("")

    @pytest.mark.parametrize(
        ("changes", "ids"),
        [
            ({}, []),
            ({"lanes": 0}, ["outbox.E001"]),
            ({"failpoints": "nowhere=kill"}, ["outbox.E001"]),
            ({"sink": "no.such.module"}, ["outbox.E002"]),
            ({"sink": "os.no_such_name", "waker": "nodots"}, ["outbox.E002", "outbox.E002"]),
            ({"waker": "os.sep"}, ["outbox.E003"]),
        ],
    )
    def test_name_each_fault(self, changes, ids, settings):
        settings.OUTBOX = MINIMAL | changes

        assert [found.id for found in checks.check_settings()] == ids


class TestFailpoints:
    @pytest.fixture(autouse=True)
    def disarmed(self):
        yield
        failpoints.arm("")

    def test_do_nothing_unless_armed(self):
        for point in failpoints.POINTS:
            failpoints.hit(point)

    def test_raise_where_they_are_armed(self):
        failpoints.arm("recorded=raise,published=raise:0")
        failpoints.hit("published")
        failpoints.hit("committed")
        with pytest.raises(failpoints.FailpointError):
            failpoints.hit("recorded")

    @pytest.mark.parametrize(
        "spec",
        ["nowhere=raise", "recorded", "recorded=melt", "recorded=raise:x", "recorded=raise:2"],
    )
    def test_keep_what_was_armed_when_the_text_is_wrong(self, spec):
        failpoints.arm("committed=raise")
        with pytest.raises(BadSettings):
            failpoints.arm(f"marked=raise,{spec}")
        failpoints.hit("marked")
        with pytest.raises(failpoints.FailpointError):
            failpoints.hit("committed")

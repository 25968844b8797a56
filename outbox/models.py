"""
The outbox's tables as Django sees them. Their DDL is in the first migration, in SQL: partitions,
identity columns and triggers have no model form.
"""

from typing import Any

from django.db import models

from outbox.captured import Captured, CapturedManager, CapturedQuerySet

__all__ = ["Captured", "CapturedManager", "CapturedQuerySet"]


class EventFields(models.Model):
    """What a message and a log entry share: recording is a copy that cannot fail for one row."""

    stream = models.TextField(help_text="Numbered without holes in the log, like tenant:7.")
    event_id = models.UUIDField(help_text="The same in outbox, log and frames, for ever.")
    type = models.TextField()
    subject = models.TextField(help_text="What the event is about, like ticket:42.")
    payload = models.JSONField()
    context = models.JSONField(default=dict, help_text="actor, request_id, traceparent")
    schema_version = models.IntegerField(default=1)
    replay_of = models.BigIntegerField(null=True, help_text="The seq of the event sent again.")
    occurred_at = models.DateTimeField(help_text="The clock at the write.")

    class Meta:
        abstract = True


class Message(EventFields):
    """An event that is committed and not yet in the log."""

    id = models.BigAutoField(primary_key=True)
    lane = models.IntegerField()

    class Meta:
        managed = False
        db_table = "outbox_message"

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"


class LogEntry(EventFields):
    """One event of the append-only log, numbered within its stream."""

    event_id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField()
    recorded_at = models.DateTimeField(help_text="Never falls while seq rises.")

    class Meta:
        managed = False
        db_table = "event_log"
        verbose_name_plural = "log entries"

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.type}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        raise TypeError("the event log is written by the relay alone: use outbox.publish()")


class Stream(models.Model):
    """The head of one stream: how far it is numbered, and how far it is handed to the sink."""

    name = models.TextField(primary_key=True)
    lane = models.IntegerField()
    epoch = models.UUIDField(help_text="Identifies the log; renewed after a restore or promotion.")
    last_seq = models.BigIntegerField()
    published_seq = models.BigIntegerField()
    last_recorded_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "outbox_stream"

    def __str__(self) -> str:
        return self.name


class Lane(models.Model):
    """One lock, one recorder at a time; also the lane's low-water id and its publishing pause."""

    lane = models.IntegerField(primary_key=True)
    round = models.BigIntegerField(help_text="Counts the rounds that recorded something.")
    low_id = models.BigIntegerField(help_text="No message at or below it can appear any more.")
    publish_failures = models.IntegerField()
    publish_after = models.DateTimeField(null=True)
    publish_error = models.TextField(null=True, help_text="What the sink said last.")  # noqa: DJ001
    paused_at = models.DateTimeField(null=True)
    paused_by = models.TextField(null=True)  # noqa: DJ001
    pause_reason = models.TextField(null=True)  # noqa: DJ001
    takeover_at = models.DateTimeField(null=True)
    takeover_by = models.TextField(null=True)  # noqa: DJ001
    solo_event_id = models.UUIDField(null=True)

    class Meta:
        managed = False
        db_table = "outbox_lane"
        permissions = [("control_lane", "Can pause, resume and skip lanes")]

    def __str__(self) -> str:
        return f"lane {self.lane}"


class Mute(models.Model):
    """One use of the mute switch: who wrote without events, when and why."""

    id = models.BigAutoField(primary_key=True)
    reason = models.TextField()
    role = models.TextField()
    muted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "outbox_mute"

    def __str__(self) -> str:
        return self.reason


class LaneAction(models.Model):
    """One use of pause, resume or skip: who, when and why."""

    id = models.BigAutoField(primary_key=True)
    lane = models.IntegerField()
    action = models.TextField()
    reason = models.TextField()
    actor = models.TextField()
    detail = models.JSONField(default=dict)
    acted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "outbox_lane_action"

    def __str__(self) -> str:
        return f"{self.action} lane {self.lane}"


class Reason(models.TextChoices):
    """Why an event could not be handed over."""

    POISON = "poison", "poison: it cannot be delivered as it is"
    SINK_ERROR = "sink_error", "the sink fails at it alone"
    CRASH = "crash", "it kills the worker"


class DeadLetter(EventFields):
    """An event that could not be handed over, with its row as it was logged."""

    class State(models.TextChoices):
        DEAD = "dead"
        REPLAYED = "replayed"
        DISCARDED = "discarded"

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField()
    epoch = models.UUIDField()
    recorded_at = models.DateTimeField()
    sink = models.TextField()
    reason = models.TextField(choices=Reason)
    error = models.TextField()
    fingerprint = models.TextField(help_text="The same for events that failed for one cause.")
    attempts = models.IntegerField()
    died_at = models.DateTimeField()
    state = models.TextField(choices=State, default=State.DEAD)
    resolved_at = models.DateTimeField(null=True)
    replay_id = models.BigIntegerField(null=True)

    class Meta:
        managed = False
        db_table = "outbox_dead_letter"
        permissions = [("replay_event", "Can replay and discard events")]

    def __str__(self) -> str:
        return f"{self.stream} {self.seq} {self.type}"


class Attempt(models.Model):
    """One try to hand one event over that failed; not edited afterwards."""

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField()
    stream = models.TextField()
    seq = models.BigIntegerField()
    number = models.IntegerField()
    reason = models.TextField(choices=Reason)
    started_at = models.DateTimeField()
    duration_ms = models.FloatField(null=True, help_text="Unknown when the worker died.")
    worker = models.TextField()
    error = models.TextField()
    traceback = models.TextField()
    noted_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "outbox_attempt"

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.stream} {self.seq}"


class Replay(models.Model):
    """Who asked to replay or discard what and why, and how far it is."""

    class Action(models.TextChoices):
        REPLAY = "replay"
        DISCARD = "discard"

    class Source(models.TextChoices):
        DEAD_LETTERS = "dead_letters", "dead letters"
        LOG = "log", "delivered events"

    class State(models.TextChoices):
        RUNNING = "running"
        DONE = "done"
        CANCELLED = "cancelled"

    id = models.BigAutoField(primary_key=True)
    action = models.TextField(choices=Action)
    source = models.TextField(choices=Source)
    stream = models.TextField(null=True, help_text="Null: of every stream.")  # noqa: DJ001
    filters = models.JSONField()
    forced = models.BooleanField(help_text="Also what its subject has moved past.")
    reason = models.TextField()
    actor = models.TextField()
    rate = models.IntegerField(help_text="Events per second.")
    fingerprint = models.TextField(help_text="Of the set as it was confirmed.")
    total = models.IntegerField()
    requested_at = models.DateTimeField()
    state = models.TextField(choices=State, default=State.RUNNING)
    next_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    cancelled_by = models.TextField(null=True)  # noqa: DJ001
    replayed = models.IntegerField(default=0)
    discarded = models.IntegerField(default=0)
    already = models.IntegerField(default=0)
    superseded = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    first_error = models.TextField(null=True)  # noqa: DJ001

    class Meta:
        managed = False
        db_table = "outbox_replay"

    def __str__(self) -> str:
        return f"{self.action} {self.pk}"


class ReplayItem(models.Model):
    """One event that a replay chose, and what became of it."""

    pk = models.CompositePrimaryKey("replay_id", "number")
    replay = models.ForeignKey(Replay, on_delete=models.DO_NOTHING, related_name="items")
    number = models.IntegerField()
    event_id = models.UUIDField()
    stream = models.TextField()
    seq = models.BigIntegerField()
    dead_letter_id = models.BigIntegerField(null=True)
    outcome = models.TextField(null=True)  # noqa: DJ001
    detail = models.TextField()
    new_event_id = models.UUIDField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        managed = False
        db_table = "outbox_replay_item"

    def __str__(self) -> str:
        return f"{self.stream} {self.seq}"


class Broadcast(models.Model):
    """Which slice of a stream went to which groups, and when: one row per stream and round."""

    pk = models.CompositePrimaryKey("stream", "last_seq", "published_at")
    stream = models.TextField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    targets = models.JSONField(help_text="{group: [first seq, last seq, count]}")
    worker = models.TextField()
    published_at = models.DateTimeField()

    class Meta:
        managed = False
        db_table = "outbox_broadcast"

    def __str__(self) -> str:
        return f"{self.stream} {self.first_seq} to {self.last_seq}"

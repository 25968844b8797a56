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

    class Meta:
        managed = False
        db_table = "outbox_lane"

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

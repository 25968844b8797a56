"""The outbox's tables, functions and triggers; the SQL beside this file makes them."""

from pathlib import Path

from django.db import migrations, models

TABLES = Path(__file__).with_name("0001_tables.sql").read_text()
DROP = """
DROP TABLE event_log, outbox_message, outbox_stream, outbox_lane, outbox_log, outbox_mute CASCADE;
DROP FUNCTION outbox_lane_of, outbox_lanes, outbox_take_xid, outbox_refuse_change,
  outbox_add_partition, outbox_drop_partitions, outbox_mute, outbox_is_muted;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(TABLES, DROP),
        # The models' state; none of them is managed.
        migrations.CreateModel(
            name="Lane",
            fields=[
                ("lane", models.IntegerField(primary_key=True, serialize=False)),
                (
                    "round",
                    models.BigIntegerField(help_text="Counts the rounds that recorded something."),
                ),
                (
                    "low_id",
                    models.BigIntegerField(
                        help_text="No message at or below it can appear any more."
                    ),
                ),
                ("publish_failures", models.IntegerField()),
                ("publish_after", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "outbox_lane",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="LogEntry",
            fields=[
                (
                    "stream",
                    models.TextField(help_text="Numbered without holes in the log, like tenant:7."),
                ),
                ("type", models.TextField()),
                ("subject", models.TextField(help_text="What the event is about, like ticket:42.")),
                ("payload", models.JSONField()),
                (
                    "context",
                    models.JSONField(default=dict, help_text="actor, request_id, traceparent"),
                ),
                ("schema_version", models.IntegerField(default=1)),
                (
                    "replay_of",
                    models.BigIntegerField(help_text="The seq of the event sent again.", null=True),
                ),
                ("occurred_at", models.DateTimeField(help_text="The clock at the write.")),
                ("event_id", models.UUIDField(primary_key=True, serialize=False)),
                ("seq", models.BigIntegerField()),
                ("recorded_at", models.DateTimeField(help_text="Never falls while seq rises.")),
            ],
            options={
                "verbose_name_plural": "log entries",
                "db_table": "event_log",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "stream",
                    models.TextField(help_text="Numbered without holes in the log, like tenant:7."),
                ),
                (
                    "event_id",
                    models.UUIDField(help_text="The same in outbox, log and frames, for ever."),
                ),
                ("type", models.TextField()),
                ("subject", models.TextField(help_text="What the event is about, like ticket:42.")),
                ("payload", models.JSONField()),
                (
                    "context",
                    models.JSONField(default=dict, help_text="actor, request_id, traceparent"),
                ),
                ("schema_version", models.IntegerField(default=1)),
                (
                    "replay_of",
                    models.BigIntegerField(help_text="The seq of the event sent again.", null=True),
                ),
                ("occurred_at", models.DateTimeField(help_text="The clock at the write.")),
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("lane", models.IntegerField()),
            ],
            options={
                "db_table": "outbox_message",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Mute",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("reason", models.TextField()),
                ("role", models.TextField()),
                ("muted_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outbox_mute",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Stream",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False)),
                ("lane", models.IntegerField()),
                (
                    "epoch",
                    models.UUIDField(
                        help_text="Identifies the log; renewed after a restore or promotion."
                    ),
                ),
                ("last_seq", models.BigIntegerField()),
                ("published_seq", models.BigIntegerField()),
                ("last_recorded_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outbox_stream",
                "managed": False,
            },
        ),
    ]

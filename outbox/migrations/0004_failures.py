"""
Dead letters, attempts, replays, pauses of lanes, heartbeats and the audit trail of broadcasts; the
SQL beside this file makes them. Adding columns to outbox_lane stops the relay for a moment.
"""

from pathlib import Path

from django.db import migrations, models

TABLES = Path(__file__).with_name("0004_failures.sql").read_text()
DROP = Path(__file__).with_name("0004_back.sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("outbox", "0003_keep_mutes")]

    operations = [
        migrations.RunSQL(TABLES, DROP),
        # The models' state; none of them is managed.
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField()),
                ("stream", models.TextField()),
                ("seq", models.BigIntegerField()),
                ("number", models.IntegerField()),
                (
                    "reason",
                    models.TextField(
                        choices=[
                            ("poison", "poison: it cannot be delivered as it is"),
                            ("sink_error", "the sink fails at it alone"),
                            ("crash", "it kills the worker"),
                        ]
                    ),
                ),
                ("started_at", models.DateTimeField()),
                (
                    "duration_ms",
                    models.FloatField(help_text="Unknown when the worker died.", null=True),
                ),
                ("worker", models.TextField()),
                ("error", models.TextField()),
                ("traceback", models.TextField()),
                ("noted_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outbox_attempt",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Broadcast",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "stream",
                        "last_seq",
                        "published_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("stream", models.TextField()),
                ("first_seq", models.BigIntegerField()),
                ("last_seq", models.BigIntegerField()),
                ("targets", models.JSONField(help_text="{group: [first seq, last seq, count]}")),
                ("worker", models.TextField()),
                ("published_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outbox_broadcast",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="DeadLetter",
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
                ("seq", models.BigIntegerField()),
                ("epoch", models.UUIDField()),
                ("recorded_at", models.DateTimeField()),
                ("sink", models.TextField()),
                (
                    "reason",
                    models.TextField(
                        choices=[
                            ("poison", "poison: it cannot be delivered as it is"),
                            ("sink_error", "the sink fails at it alone"),
                            ("crash", "it kills the worker"),
                        ]
                    ),
                ),
                ("error", models.TextField()),
                (
                    "fingerprint",
                    models.TextField(help_text="The same for events that failed for one cause."),
                ),
                ("attempts", models.IntegerField()),
                ("died_at", models.DateTimeField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("dead", "Dead"),
                            ("replayed", "Replayed"),
                            ("discarded", "Discarded"),
                        ],
                        default="dead",
                    ),
                ),
                ("resolved_at", models.DateTimeField(null=True)),
                ("replay_id", models.BigIntegerField(null=True)),
            ],
            options={
                "db_table": "outbox_dead_letter",
                "permissions": [("replay_event", "Can replay and discard events")],
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="LaneAction",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("lane", models.IntegerField()),
                ("action", models.TextField()),
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("detail", models.JSONField(default=dict)),
                ("acted_at", models.DateTimeField()),
            ],
            options={
                "db_table": "outbox_lane_action",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="Replay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "action",
                    models.TextField(choices=[("replay", "Replay"), ("discard", "Discard")]),
                ),
                (
                    "source",
                    models.TextField(
                        choices=[("dead_letters", "dead letters"), ("log", "delivered events")]
                    ),
                ),
                ("stream", models.TextField(help_text="Null: of every stream.", null=True)),
                ("filters", models.JSONField()),
                ("forced", models.BooleanField(help_text="Also what its subject has moved past.")),
                ("reason", models.TextField()),
                ("actor", models.TextField()),
                ("rate", models.IntegerField(help_text="Events per second.")),
                ("fingerprint", models.TextField(help_text="Of the set as it was confirmed.")),
                ("total", models.IntegerField()),
                ("requested_at", models.DateTimeField()),
                (
                    "state",
                    models.TextField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="running",
                    ),
                ),
                ("next_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(null=True)),
                ("cancelled_by", models.TextField(null=True)),
                ("replayed", models.IntegerField(default=0)),
                ("discarded", models.IntegerField(default=0)),
                ("already", models.IntegerField(default=0)),
                ("superseded", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
                ("first_error", models.TextField(null=True)),
            ],
            options={
                "db_table": "outbox_replay",
                "managed": False,
            },
        ),
        migrations.CreateModel(
            name="ReplayItem",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "replay_id",
                        "number",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("number", models.IntegerField()),
                ("event_id", models.UUIDField()),
                ("stream", models.TextField()),
                ("seq", models.BigIntegerField()),
                ("dead_letter_id", models.BigIntegerField(null=True)),
                ("outcome", models.TextField(null=True)),
                ("detail", models.TextField()),
                ("new_event_id", models.UUIDField(null=True)),
                ("done_at", models.DateTimeField(null=True)),
            ],
            options={
                "db_table": "outbox_replay_item",
                "managed": False,
            },
        ),
    ]

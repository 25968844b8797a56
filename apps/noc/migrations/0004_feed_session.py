"""The feed's connections, part by part: who was sent which slice of the log and confirmed it."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# A user who is deleted takes their rows along, however many, and also those written meanwhile.
KEYS = """
ALTER TABLE noc_feedsession
  ADD CONSTRAINT feedsession_user
      FOREIGN KEY (user_id) REFERENCES auth_user (id) ON DELETE CASCADE,
  ADD CONSTRAINT feedsession_tenant
      FOREIGN KEY (tenant_id) REFERENCES tenancy_tenant (id) ON DELETE CASCADE
"""
DROP_KEYS = """
ALTER TABLE noc_feedsession DROP CONSTRAINT feedsession_user, DROP CONSTRAINT feedsession_tenant
"""
# The new version of an updated row stays on its page, where the next update clears the old one, so
# that no index is touched. An open part is updated every few seconds, and its neighbours with it.
ROOM = "ALTER TABLE noc_feedsession SET (fillfactor = 50)"


class Migration(migrations.Migration):
    dependencies = [
        ("noc", "0003_feed_lease"),
        ("tenancy", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FeedSession",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("session", models.UUIDField(help_text="The connection, as its hello named it.")),
                (
                    "part",
                    models.PositiveIntegerField(help_text="Counts the parts of the connection."),
                ),
                ("process", models.UUIDField(help_text="The web process that served it.")),
                (
                    "sites",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(),
                        help_text="The scope; null: every site.",
                        null=True,
                        size=None,
                    ),
                ),
                ("epoch", models.UUIDField(help_text="Of the log that the numbers belong to.")),
                (
                    "start_seq",
                    models.BigIntegerField(help_text="Events after this one were sent."),
                ),
                ("sent_seq", models.BigIntegerField(help_text="Up to and with this one.")),
                (
                    "acked_seq",
                    models.BigIntegerField(
                        help_text="The client confirmed up to and with this one."
                    ),
                ),
                ("opened_at", models.DateTimeField()),
                (
                    "acked_at",
                    models.DateTimeField(help_text="When it last confirmed anything.", null=True),
                ),
                (
                    "slowest_ack_ms",
                    models.BigIntegerField(
                        help_text="The longest time from an event that occurred while the part was open to its confirmation, in milliseconds.",
                        null=True,
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "close_code",
                    models.PositiveIntegerField(
                        help_text="Empty: still open, followed by another part, or its process ended.",
                        null=True,
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenancy.tenant",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="feed_sessions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "epoch", "start_seq"], name="feedsession_by_place"
                    ),
                    models.Index(fields=["tenant", "id"], name="feedsession_by_tenant"),
                    models.Index(fields=["user", "id"], name="feedsession_by_user"),
                    models.Index(
                        fields=["process"],
                        condition=models.Q(("closed_at__isnull", True)),
                        name="feedsession_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("session", "part"), name="feedsession_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("sent_seq__gte", models.F("start_seq")), ("start_seq__gte", 0)
                        ),
                        name="feedsession_slice_of_the_log",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("acked_seq__lte", models.F("sent_seq"))),
                        name="feedsession_confirmed_was_sent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("close_code__isnull", True),
                            ("closed_at__isnull", False),
                            _connector="OR",
                        ),
                        name="feedsession_code_of_a_closed_one",
                    ),
                ],
            },
        ),
        migrations.RunSQL(KEYS, DROP_KEYS),
        migrations.RunSQL(ROOM, migrations.RunSQL.noop),
    ]

"""Names for tokens, and whether they may only read."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenancy", "0006_throttle"),
        migrations.swappable_dependency(settings.KNOX_TOKEN_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "read_only",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="It may read, and open the feed.",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(
                        editable=False, help_text="Written once a minute at most.", null=True
                    ),
                ),
                (
                    "token",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="device",
                        to=settings.KNOX_TOKEN_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunSQL(
            """
            ALTER TABLE tenancy_device ADD CONSTRAINT device_of_token
              FOREIGN KEY (token_id) REFERENCES knox_authtoken (digest) ON DELETE CASCADE
            """,
            "ALTER TABLE tenancy_device DROP CONSTRAINT device_of_token",
        ),
    ]

"""The figures of the charts, minute by minute: events, delays of deliveries, open tickets."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

# A tenant or site that is deleted takes its rows along, however many, and those written meanwhile.
KEYS = {
    "noc_eventcount": "tenant",
    "noc_eventcursor": "tenant",
    "noc_deliverycount": "tenant",
    "noc_opensample": "site",
}
ADD = "ALTER TABLE {table} ADD CONSTRAINT {table}_{of} FOREIGN KEY ({of}_id) REFERENCES tenancy_{of} (id) ON DELETE CASCADE"
DROP = "ALTER TABLE {table} DROP CONSTRAINT {table}_{of}"
# The rows of the running minute are updated some times: room for that on their page, so that no
# index is touched. A cursor is updated all the time.
ROOM = """
ALTER TABLE noc_eventcursor SET (fillfactor = 50);
ALTER TABLE noc_eventcount SET (fillfactor = 80);
ALTER TABLE noc_deliverycount SET (fillfactor = 70);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("noc", "0006_saved_view"),
        ("tenancy", "0004_access_changed"),
    ]

    operations = [
        migrations.CreateModel(
            name="EventCursor",
            fields=[
                (
                    "tenant",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="tenancy.tenant",
                    ),
                ),
                ("epoch", models.UUIDField()),
                ("seq", models.BigIntegerField(help_text="The last event that is counted.")),
                (
                    "recorded_at",
                    models.DateTimeField(
                        help_text="Of that event; before the first: where it began."
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="SampleRun",
            fields=[
                ("minute", models.DateTimeField(primary_key=True, serialize=False)),
            ],
        ),
        migrations.CreateModel(
            name="DeliveryCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "minute",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                (
                    "counts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.IntegerField(), size=None
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
            ],
        ),
        migrations.CreateModel(
            name="EventCount",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "tenant_id",
                        "minute",
                        "site_id",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                (
                    "site_id",
                    models.BigIntegerField(help_text="0: of no site, seen by who sees every site."),
                ),
                ("ticket", models.IntegerField()),
                ("finding", models.IntegerField()),
                ("anomaly", models.IntegerField()),
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
            ],
        ),
        migrations.CreateModel(
            name="OpenSample",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "site_id",
                        "minute",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("minute", models.DateTimeField()),
                ("new", models.IntegerField()),
                ("in_progress", models.IntegerField()),
                ("on_hold", models.IntegerField()),
                ("resolved", models.IntegerField()),
                (
                    "site",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tenancy.site",
                    ),
                ),
            ],
        ),
        *(
            migrations.RunSQL(ADD.format(table=table, of=of), DROP.format(table=table, of=of))
            for table, of in KEYS.items()
        ),
        migrations.RunSQL(ROOM, migrations.RunSQL.noop),
    ]

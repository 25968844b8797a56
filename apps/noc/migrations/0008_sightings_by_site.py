"""
What was seen at a site is read by time: the index of the site alone makes way for one of both.

Building them holds back the writes of findings and anomalies for as long as it takes.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("noc", "0007_minute_figures"),
        ("tenancy", "0007_devices"),
    ]

    operations = [
        migrations.AlterField(
            model_name="anomaly",
            name="site",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="Empty: of the whole tenant, seen only by who sees every site.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="tenancy.site",
            ),
        ),
        migrations.AlterField(
            model_name="finding",
            name="site",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="Empty: of the whole tenant, seen only by who sees every site.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="tenancy.site",
            ),
        ),
        migrations.AddIndex(
            model_name="anomaly",
            index=models.Index(fields=["site", "detected_at"], name="anomaly_by_site"),
        ),
        migrations.AddIndex(
            model_name="finding",
            index=models.Index(fields=["site", "created_at"], name="finding_by_site"),
        ),
    ]

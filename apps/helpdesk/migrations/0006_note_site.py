"""A note knows at which site it was written."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import outbox.capture


class Migration(migrations.Migration):
    dependencies = [
        ("helpdesk", "0005_comment"),
        ("tenancy", "0007_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="ticketnote",
            name="site",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="tenancy.site",
            ),
        ),
        # Of older notes only the ticket's present site is known.
        migrations.RunSQL(
            "UPDATE helpdesk_ticketnote n SET site_id = t.site_id"
            "  FROM helpdesk_ticket t WHERE t.id = n.ticket_id",
            migrations.RunSQL.noop,
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="ticketnote",
            trigger=pgtrigger.compiler.Trigger(
                name="note_site",
                sql=outbox.capture.PlainTriggerSql(
                    func="\n            NEW.site_id := (SELECT t.site_id FROM helpdesk_ticket t WHERE t.id = NEW.ticket_id);\n            RETURN NEW;\n        ",
                    hash="4d1d0eb189a049ee8e67c3b4e480fc1686470294",
                    operation="INSERT",
                    pgid="pgtrigger_note_site_2078a",
                    table="helpdesk_ticketnote",
                    when="BEFORE",
                ),
            ),
        ),
    ]

"""A note may stand by itself: a comment, which is captured."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import outbox.capture


class Migration(migrations.Migration):
    dependencies = [
        ("helpdesk", "0004_acknowledgement"),
    ]

    operations = [
        migrations.AlterField(
            model_name="ticketnote",
            name="status",
            field=models.CharField(
                blank=True,
                choices=[
                    ("NEW", "New"),
                    ("IN_PROGRESS", "In progress"),
                    ("ON_HOLD", "On hold"),
                    ("RESOLVED", "Resolved"),
                    ("CLOSED", "Closed"),
                    ("CANCELLED", "Cancelled"),
                ],
                db_default="",
                default="",
                help_text="The status it went with; empty: a comment.",
                max_length=16,
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="ticketnote",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_00_ticket_commented",
                sql=outbox.capture.PlainTriggerSql(
                    condition="WHEN (NEW.status = '')",
                    func="\n    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)\n    SELECT outbox_lane_of(e.stream), e.stream, 'ticket_commented', 'ticket:' || NEW.ticket_id,\n           jsonb_build_object('comment_id', NEW.id, 'ticket_id', NEW.ticket_id, 'ticket_no', (SELECT t.ticket_no FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_id', (SELECT t.site_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_name', (SELECT s.name FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'author', (SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)\n          FROM auth_user u WHERE u.id = NEW.author_id), 'text', left(NEW.text, 200), 'written_at', to_char(NEW.written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')),\n           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}')\n      FROM (SELECT (SELECT 'tenant:' || t.tenant_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id) AS stream) e\n     WHERE CASE coalesce(current_setting('outbox.mute', true), '')\n             WHEN '' THEN true ELSE NOT outbox_is_muted() END;\n    RETURN NULL;\n",
                    hash="3c9feae501557e42eeec7579a113146e176442f9",
                    operation="INSERT",
                    pgid="pgtrigger_outbox_00_ticket_commented_a795b",
                    table="helpdesk_ticketnote",
                    when="AFTER",
                ),
            ),
        ),
    ]

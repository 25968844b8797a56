"""A ticket may be acknowledged; the row goes with its ticket, whoever deletes that."""

import django.db.models.deletion
import django.db.models.functions.datetime
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import outbox.capture


class Migration(migrations.Migration):
    dependencies = [
        ("helpdesk", "0003_imported_incident"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                (
                    "ticket",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="acknowledgement",
                        serialize=False,
                        to="helpdesk.ticket",
                    ),
                ),
                (
                    "acknowledged_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="ticket",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_40_end_acknowledgement",
                sql=outbox.capture.PlainTriggerSql(
                    condition="WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status = 'NEW'\n    OR (OLD.priority IS DISTINCT FROM NEW.priority\n        AND array_position('{LOW,MEDIUM,HIGH,CRITICAL}'::text[], NEW.priority::text)\n            > array_position('{LOW,MEDIUM,HIGH,CRITICAL}'::text[], OLD.priority::text)))",
                    func="DELETE FROM helpdesk_acknowledgement WHERE ticket_id = NEW.id; RETURN NULL;",
                    hash="3953d491271f111a1d7f2711f57fa47785a12664",
                    operation="UPDATE",
                    pgid="pgtrigger_outbox_40_end_acknowledgement_50c41",
                    table="helpdesk_ticket",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="ticket",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_50_ticket_acknowledged",
                sql=outbox.capture.PlainTriggerSql(
                    condition="WHEN (OLD.site_id IS DISTINCT FROM NEW.site_id\n    OR (OLD.status IN ('CLOSED', 'CANCELLED') AND NEW.status NOT IN ('CLOSED', 'CANCELLED')))",
                    func="IF NOT EXISTS (SELECT FROM helpdesk_acknowledgement WHERE ticket_id = NEW.id) THEN RETURN NULL; END IF;\n    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)\n    SELECT outbox_lane_of(e.stream), e.stream, 'ticket_acknowledged', 'ticket:' || NEW.id,\n           jsonb_build_object('ticket_id', NEW.id, 'ticket_no', NEW.ticket_no, 'site_id', NEW.site_id, 'site_name', (SELECT s.name FROM tenancy_site s WHERE s.id = NEW.site_id), 'acknowledged_by', (SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)\n          FROM auth_user u WHERE u.id = (SELECT a.acknowledged_by_id FROM helpdesk_acknowledgement a\n          WHERE a.ticket_id = NEW.id)), 'acknowledged_at', (SELECT to_char(a.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM helpdesk_acknowledgement a\n          WHERE a.ticket_id = NEW.id)),\n           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}')\n      FROM (SELECT 'tenant:' || NEW.tenant_id AS stream) e\n     WHERE CASE coalesce(current_setting('outbox.mute', true), '')\n             WHEN '' THEN true ELSE NOT outbox_is_muted() END;\n    RETURN NULL;\n",
                    hash="af7222d4d8689e44fd06a53e5e0091fb2712b225",
                    operation="UPDATE",
                    pgid="pgtrigger_outbox_50_ticket_acknowledged_a7561",
                    table="helpdesk_ticket",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddField(
            model_name="acknowledgement",
            name="acknowledged_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="acknowledgement",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_00_ticket_acknowledged",
                sql=outbox.capture.PlainTriggerSql(
                    func="\n    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)\n    SELECT outbox_lane_of(e.stream), e.stream, 'ticket_acknowledged', 'ticket:' || NEW.ticket_id,\n           jsonb_build_object('ticket_id', NEW.ticket_id, 'ticket_no', (SELECT t.ticket_no FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_id', (SELECT t.site_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_name', (SELECT s.name FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'acknowledged_by', (SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)\n          FROM auth_user u WHERE u.id = NEW.acknowledged_by_id), 'acknowledged_at', to_char(NEW.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')),\n           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}')\n      FROM (SELECT (SELECT 'tenant:' || t.tenant_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id) AS stream) e\n     WHERE CASE coalesce(current_setting('outbox.mute', true), '')\n             WHEN '' THEN true ELSE NOT outbox_is_muted() END;\n    RETURN NULL;\n",
                    hash="f41edb79cf54113cbb6c9da492a49968a9dfde3e",
                    operation="INSERT",
                    pgid="pgtrigger_outbox_00_ticket_acknowledged_5a6ea",
                    table="helpdesk_acknowledgement",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="acknowledgement",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_10_ticket_acknowledged",
                sql=outbox.capture.PlainTriggerSql(
                    condition="WHEN (OLD.acknowledged_by_id IS DISTINCT FROM NEW.acknowledged_by_id OR OLD.acknowledged_at IS DISTINCT FROM NEW.acknowledged_at)",
                    func="\n    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)\n    SELECT outbox_lane_of(e.stream), e.stream, 'ticket_acknowledged', 'ticket:' || NEW.ticket_id,\n           jsonb_build_object('ticket_id', NEW.ticket_id, 'ticket_no', (SELECT t.ticket_no FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_id', (SELECT t.site_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'site_name', (SELECT s.name FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id), 'acknowledged_by', (SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)\n          FROM auth_user u WHERE u.id = NEW.acknowledged_by_id), 'acknowledged_at', to_char(NEW.acknowledged_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')),\n           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}')\n      FROM (SELECT (SELECT 'tenant:' || t.tenant_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = NEW.ticket_id) AS stream) e\n     WHERE CASE coalesce(current_setting('outbox.mute', true), '')\n             WHEN '' THEN true ELSE NOT outbox_is_muted() END;\n    RETURN NULL;\n",
                    hash="1078b68f85f8955651f2c52233272fd08aeb8cd2",
                    operation="UPDATE",
                    pgid="pgtrigger_outbox_10_ticket_acknowledged_5181f",
                    table="helpdesk_acknowledgement",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="acknowledgement",
            trigger=pgtrigger.compiler.Trigger(
                name="outbox_00_ticket_unacknowledged",
                sql=outbox.capture.PlainTriggerSql(
                    func="IF NOT EXISTS (SELECT FROM helpdesk_ticket WHERE id = OLD.ticket_id) THEN RETURN NULL; END IF;\n    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)\n    SELECT outbox_lane_of(e.stream), e.stream, 'ticket_unacknowledged', 'ticket:' || OLD.ticket_id,\n           jsonb_build_object('ticket_id', OLD.ticket_id, 'ticket_no', (SELECT t.ticket_no FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = OLD.ticket_id), 'site_id', (SELECT t.site_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = OLD.ticket_id), 'site_name', (SELECT s.name FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = OLD.ticket_id)),\n           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{}')\n      FROM (SELECT (SELECT 'tenant:' || t.tenant_id FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id\n          WHERE t.id = OLD.ticket_id) AS stream) e\n     WHERE CASE coalesce(current_setting('outbox.mute', true), '')\n             WHEN '' THEN true ELSE NOT outbox_is_muted() END;\n    RETURN NULL;\n",
                    hash="94d1ef2e22e8db3bc649b4b9ca64e2711e29feab",
                    operation="DELETE",
                    pgid="pgtrigger_outbox_00_ticket_unacknowledged_82c05",
                    table="helpdesk_acknowledgement",
                    when="AFTER",
                ),
            ),
        ),
        migrations.RunSQL(
            """
            ALTER TABLE helpdesk_acknowledgement ADD CONSTRAINT acknowledgement_of_ticket
              FOREIGN KEY (ticket_id) REFERENCES helpdesk_ticket (id) ON DELETE CASCADE
            """,
            "ALTER TABLE helpdesk_acknowledgement DROP CONSTRAINT acknowledgement_of_ticket",
        ),
    ]

"""The audit rows of the mute switch stay: whoever may mute must not be able to remove the trace."""

from django.db import migrations

GUARD = """
CREATE FUNCTION outbox_keep_mutes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: it tells who wrote without events', TG_OP, TG_TABLE_NAME;
END $$;
CREATE TRIGGER outbox_keep_mutes BEFORE UPDATE OR DELETE OR TRUNCATE ON outbox_mute
  FOR EACH STATEMENT EXECUTE FUNCTION outbox_keep_mutes();
"""
DROP = """
DROP TRIGGER outbox_keep_mutes ON outbox_mute;
DROP FUNCTION outbox_keep_mutes;
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0002_stream_name_length")]
    operations = [migrations.RunSQL(GUARD, DROP)]

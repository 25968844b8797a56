"""
Streams have short names. The log's indexes on the name hold about 2,700 bytes; a longer one would
be taken into the outbox and could never be recorded, and its lane would stand still.
"""

from django.db import migrations

ADD = """
ALTER TABLE outbox_message
  ADD CONSTRAINT outbox_stream_name CHECK (octet_length(stream) BETWEEN 1 AND 255);
"""
DROP = "ALTER TABLE outbox_message DROP CONSTRAINT outbox_stream_name;"


class Migration(migrations.Migration):
    dependencies = [("outbox", "0001_initial")]
    operations = [migrations.RunSQL(ADD, DROP)]

"""
Names that no index of dead letters can hold, some 2,700 bytes, would keep an event from being filed
and stop the publishing of its lane. A type is a name in frames and logs, so it is short; a subject
may be long, and few letters share one.
"""

from django.db import migrations

SHORT = """
ALTER TABLE outbox_message
  ADD CONSTRAINT outbox_type_name CHECK (octet_length(type) <= 255);
DROP INDEX outbox_dead_letter_subject;
CREATE INDEX outbox_dead_letter_subject ON outbox_dead_letter USING hash (subject);
"""
BACK = """
ALTER TABLE outbox_message DROP CONSTRAINT outbox_type_name;
DROP INDEX outbox_dead_letter_subject;
CREATE INDEX outbox_dead_letter_subject ON outbox_dead_letter (subject, id);
"""


class Migration(migrations.Migration):
    dependencies = [("outbox", "0005_control_lane")]
    operations = [migrations.RunSQL(SHORT, BACK)]

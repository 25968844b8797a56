"""
The log is read by subject: the story of one ticket.

A subject may be longer than an index entry, and no row may fail where others pass: so the index has
its first 200 characters.

Building the index holds back the recording of events, not the saves, for as long as it takes; a
partition that is made later copies it from the parent.
"""

from django.db import migrations

INDEX = "CREATE INDEX event_log_by_subject ON event_log (left(subject, 200), seq)"
BACK = "DROP INDEX event_log_by_subject"


class Migration(migrations.Migration):
    dependencies = [("outbox", "0006_long_names")]
    operations = [migrations.RunSQL(INDEX, BACK)]

"""The site of a finding or an anomaly is of its tenant: a composite foreign key on each."""

from django.db import migrations

ADD = """
ALTER TABLE {table} ADD CONSTRAINT {name}_site_of_tenant
  FOREIGN KEY (site_id, tenant_id) REFERENCES tenancy_site (id, tenant_id)
"""
DROP = "ALTER TABLE {table} DROP CONSTRAINT {name}_site_of_tenant"


class Migration(migrations.Migration):
    dependencies = [
        ("noc", "0001_initial"),
        ("outbox", "0001_initial"),  # the triggers write there
    ]

    operations = [
        migrations.RunSQL(ADD.format(table=table, name=name), DROP.format(table=table, name=name))
        for table, name in (("noc_finding", "finding"), ("noc_anomaly", "anomaly"))
    ]

"""A ticket's site is of the ticket's tenant: one composite foreign key, checked at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("helpdesk", "0001_initial"),
        ("outbox", "0001_initial"),  # the ticket's triggers write there
    ]

    operations = [
        migrations.RunSQL(
            """
            ALTER TABLE helpdesk_ticket ADD CONSTRAINT ticket_site_of_tenant
              FOREIGN KEY (site_id, tenant_id) REFERENCES tenancy_site (id, tenant_id)
            """,
            "ALTER TABLE helpdesk_ticket DROP CONSTRAINT ticket_site_of_tenant",
        ),
    ]

"""
The names of saved views are of their owner within a tenant: those of a former one block no new one.

The constraint keeps its name, by which a web process of the release before knows it too.
"""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("noc", "0008_sightings_by_site"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="savedview",
            name="saved_view_name_once_per_owner",
        ),
        migrations.AddConstraint(
            model_name="savedview",
            constraint=models.UniqueConstraint(
                fields=("owner", "tenant", "name"), name="saved_view_name_once_per_owner"
            ),
        ),
    ]

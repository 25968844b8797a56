"""The permission to pause, resume and skip lanes; no table changes."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outbox", "0004_failures")]

    operations = [
        migrations.AlterModelOptions(
            name="lane",
            options={
                "managed": False,
                "permissions": [("control_lane", "Can pause, resume and skip lanes")],
            },
        ),
    ]

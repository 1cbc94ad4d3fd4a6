"""The gateway's table, and the sequence whose numbers order everything that is published (services/store.py)."""

from django.db import migrations, models
from django.db.models.functions import Now


class Migration(migrations.Migration):
    initial = True

    dependencies = [("marketplace", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="SnapshotBuild",
            fields=[
                ("version", models.BigIntegerField(primary_key=True, serialize=False)),
                (
                    "checksum",
                    models.CharField(help_text="SHA-256 of the canonical JSON of the definitions", max_length=64),
                ),
                ("api_count", models.PositiveIntegerField()),
                ("size_bytes", models.PositiveIntegerField()),
                ("at", models.DateTimeField(db_default=Now(), db_index=True)),
            ],
            options={"ordering": ("-version",)},
        ),
        migrations.RunSQL(
            "CREATE SEQUENCE gateway_revision AS bigint;",
            "DROP SEQUENCE gateway_revision;",
        ),
    ]

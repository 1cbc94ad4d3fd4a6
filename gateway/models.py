"""The gateway's own tables: which snapshots were built. Nothing per request, and no routes: those are the marketplace's."""

from django.db import models


class SnapshotBuild(models.Model):
    """One snapshot that was published. ``version`` comes from the sequence that orders all publishing."""

    version = models.BigIntegerField(primary_key=True)
    checksum = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of the definitions")
    api_count = models.PositiveIntegerField()
    size_bytes = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=models.functions.Now(), db_index=True)

    class Meta:
        ordering = ("-version",)

    def __str__(self) -> str:
        return str(self.version)

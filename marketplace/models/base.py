"""What every table of ours has: a UUIDv7 key, shown with a prefix, and the moment of its birth."""

from uuid import UUID

import uuid_utils.compat
from django.db import models
from django.utils import timezone

from marketplace.core.ids import id_parse, id_show


def id_mint() -> UUID:
    """Mint a time-ordered UUIDv7 (RFC 9562)."""
    return uuid_utils.compat.uuid7()


class Entity(models.Model):
    """A row with a time-ordered id; ``ID_PREFIX`` names its kind in the public form."""

    ID_PREFIX = ""

    id = models.UUIDField(primary_key=True, default=id_mint, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        abstract = True

    @property
    def public_id(self) -> str:
        """The id as people and programs see it, such as ``app_01j…``."""
        return id_show(self.ID_PREFIX, self.id)

    @classmethod
    def id_from_public(cls, text: str) -> UUID:
        """Return the key behind a public id of this kind. Raises MalformedId."""
        return id_parse(cls.ID_PREFIX, text)

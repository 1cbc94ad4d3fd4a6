"""manage.py rotate_secrets: after a new key was put in front of TOLLGATE_SECRET_KEYS, bring all secrets under it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from marketplace.services.secrets import secrets_rotate


class Command(BaseCommand):
    """A thin door to secrets_rotate."""

    help = "Re-encrypt stored signing secrets with the current key of TOLLGATE_SECRET_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        rotation = secrets_rotate()
        self.stdout.write(
            _("%(count)d secrets re-encrypted. Keep the old keys for another day, then drop them.")
            % {"count": rotation.reencrypted}
        )
        if rotation.unreadable:
            raise CommandError(_("These could not be read:") + "\n" + "\n".join(rotation.unreadable))

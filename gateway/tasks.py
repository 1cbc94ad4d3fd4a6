"""It is time: publish what is waiting, heal what Valkey lost, remove what expired. Beat's table is config/celery.py."""

from celery import shared_task

from gateway.services import directory, publish
from marketplace.services import changes

CHANGES_PUBLISH_EVERY_S = 2
"""A publication that failed (Valkey was away) is tried again this often, in seconds."""
PUBLISH_HEAL_EVERY_S = 5
"""How soon an emptied Valkey is filled again, in seconds."""
DIRECTORY_SWEEP_EVERY_S = 600
"""How often keys of expired credentials are removed, in seconds. Gateways refuse them from the moment of expiry."""


@shared_task(name="gateway.changes_publish", ignore_result=True)
def changes_publish() -> None:
    """Publish what the outbox still holds."""
    changes.changes_publish()


@shared_task(name="gateway.publish_heal", ignore_result=True)
def publish_heal() -> None:
    """Rebuild everything when Valkey lost its data."""
    publish.publish_heal()


@shared_task(name="gateway.directory_sweep", ignore_result=True)
def directory_sweep() -> None:
    """Remove directory keys of credentials that are no longer live."""
    directory.directory_sweep()

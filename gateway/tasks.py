"""It is time: publish what is waiting, heal what Valkey lost, remove what expired. Beat's table is config/beat.py."""

from celery import shared_task

from gateway.services import directory, publish, used
from marketplace.services import changes


@shared_task(name="gateway.tasks.changes_publish", ignore_result=True)
def changes_publish() -> None:
    """Publish what the outbox still holds: a publication that failed, because Valkey was away, is tried again."""
    changes.changes_publish()


@shared_task(name="gateway.tasks.publish_heal", ignore_result=True)
def publish_heal() -> None:
    """Rebuild everything when Valkey lost its data."""
    publish.publish_heal()


@shared_task(name="gateway.tasks.directory_sweep", ignore_result=True)
def directory_sweep() -> None:
    """Remove directory keys of credentials that expired; gateways refuse those from the moment of expiry."""
    directory.directory_sweep()


@shared_task(name="gateway.tasks.credentials_used", ignore_result=True)
def credentials_used() -> None:
    """Move what gateways say about used credentials to where pages show it."""
    used.credentials_used_collect()

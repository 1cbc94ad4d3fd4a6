"""It is time: send an invitation, sweep up what the broker lost, forget what has ended, make the months of usage.

Beat's table is config/beat.py.
"""

from datetime import timedelta
from functools import partial
from smtplib import SMTPException
from typing import Any

from celery import shared_task
from django.utils import timezone

from marketplace.errors import ApplicationError
from marketplace.selectors.accounts import invitations_unsent
from marketplace.services import changes, idempotency, invitations
from marketplace.services.partitions import usage_partitions_make as partitions_make

MAIL_RETRIES_MAX = 4
MAIL_RETRY_S = 15
"""First wait before a mail is tried again; it doubles each time, and the last (120 s) stays below the queue's visibility
time-out: a task that waits longer is handed out twice. What fails for longer is found by the sweep."""
CHANGES_KEPT_DAYS = 7
FORGET_BATCHES_MAX = 50
"""Batches of each kind that one run deletes: more than a busy hour leaves behind."""


@shared_task(name="marketplace.tasks.invitation_mail", bind=True, max_retries=MAIL_RETRIES_MAX, ignore_result=True)
def invitation_mail(self: Any, invitation_id: str) -> None:
    """Mint the link of an invitation and send it; tried again while the mail server is away. Gone invitations are left alone."""
    invitation = invitations_unsent(invitation_id=invitation_id).first()
    if invitation is None:
        return
    try:
        invitations.invitation_send(invitation=invitation)
    except ApplicationError:
        return
    except (OSError, SMTPException) as error:
        raise self.retry(exc=error, countdown=MAIL_RETRY_S * 2**self.request.retries) from error


@shared_task(name="marketplace.tasks.invitations_sweep", ignore_result=True)
def invitations_sweep() -> None:
    """Send the invitations whose task got lost, because the broker or the mail server was away for long."""
    for invitation in invitations_unsent(older_than=timezone.now() - timedelta(minutes=30)):
        invitation_mail.delay(str(invitation.id))


@shared_task(name="marketplace.tasks.ended_forget", ignore_result=True)
def ended_forget() -> None:
    """Delete what nobody needs any longer: old idempotent answers, ended invitations, published changes."""
    before = timezone.now() - timedelta(days=CHANGES_KEPT_DAYS)
    for forget in (
        idempotency.answers_forget,
        invitations.invitations_forget,
        partial(changes.changes_forget, before=before),
    ):
        for _batch in range(FORGET_BATCHES_MAX):
            if not forget():
                break


@shared_task(name="marketplace.tasks.usage_partitions_make", ignore_result=True)
def usage_partitions_make() -> None:
    """Make the months of the usage tables that are missing, well before their first row."""
    partitions_make()

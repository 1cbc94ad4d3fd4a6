"""Remembers an invitation while somebody logs in, signs up and confirms an address, so that they come back to it.

Kept in the visitor's own session, which survives a log-in. Accepting is ``services.invitations``.
"""

from django.http import HttpRequest
from django.urls import reverse

from marketplace.models import Invitation
from marketplace.selectors.accounts import invitation_by_token

_KEY = "invitation"


def invitation_remember(request: HttpRequest, token: str) -> None:
    """Come back to this one after the log-in."""
    request.session[_KEY] = token


def invitation_forget(request: HttpRequest) -> None:
    """It was accepted, or the person came back to it."""
    request.session.pop(_KEY, None)


def invitation_remembered(request: HttpRequest, *, email: str = "") -> Invitation | None:
    """The one that waits, while it is open (and, with ``email``, when it was sent to that address); None for none."""
    token = request.session.get(_KEY, "")
    found = invitation_by_token(token=token) if token else None
    return found if found is None or not email or found.is_for(email) else None


def invitation_path(request: HttpRequest) -> str:
    """Where the one that waits is accepted; an empty text for none."""
    return reverse("pages:invitation", args=[request.session[_KEY]]) if invitation_remembered(request) else ""

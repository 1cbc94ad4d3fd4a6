"""Addresses that are the same on every site: where to report a weakness (RFC 9116)."""

from datetime import timedelta
from email.utils import parseaddr

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

EXPIRES_DAYS = 180
"""The RFC asks for less than a year; the text is made anew at each request."""


@require_safe
def security_txt(request: HttpRequest) -> HttpResponse:
    """``/.well-known/security.txt``: TOLLGATE_SECURITY_CONTACT, or else the address that our mails come from."""
    del request
    contact = settings.TOLLGATE.security_contact or f"mailto:{parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}"
    until = (timezone.now() + timedelta(days=EXPIRES_DAYS)).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (
        f"Contact: {contact}",
        f"Expires: {until:%Y-%m-%dT%H:%M:%SZ}",
        "Preferred-Languages: en, zh",
        f"Canonical: {settings.TOLLGATE.public_url.rstrip('/')}/.well-known/security.txt",
    )
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")

"""Forms of the consumer: apps, credentials, usage filters."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from marketplace.models import CredentialKind

GRACE_CHOICES = [
    (str(24 * 3600), _("24 hours")),
    (str(3600), _("1 hour")),
    (str(7 * 24 * 3600), _("7 days")),
    ("0", _("None: the old one ends now")),
]
DAYS_MAX = 92
"""Longest span of a usage page, in days."""


class AppForm(forms.Form):
    """An app's name and purpose."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("The program that calls, such as “Checkout backend”.")
    )
    description = forms.CharField(label=_("Description"), max_length=300, required=False)


class CredentialForm(forms.Form):
    """Which kind of credential to issue."""

    kind = forms.ChoiceField(label=_("Kind"), choices=CredentialKind.choices, initial=CredentialKind.APP_CODE)


class RotateForm(forms.Form):
    """How long the old credential goes on."""

    grace_s = forms.TypedChoiceField(
        label=_("The old one keeps working for"), choices=GRACE_CHOICES, coerce=int, initial=GRACE_CHOICES[0][0]
    )


class SpanForm(forms.Form):
    """Days of a usage page, both inclusive; without them the last 30 days."""

    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput({"type": "date"}))

    def clean(self) -> dict[str, Any]:
        """The span must run forward and stay within DAYS_MAX."""
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and since > until:
            self.add_error("until", _("The end must not come before the start."))
        elif since and until and (until - since).days >= DAYS_MAX:
            self.add_error("since", _("Choose at most %(days)d days.") % {"days": DAYS_MAX})
        return cleaned

    def span(self, today: date) -> tuple[date, date]:
        """(first day, last day); what is missing or wrong falls back to the last 30 days."""
        if not self.is_valid():
            return today - timedelta(days=29), today
        until = self.cleaned_data.get("until") or today
        since = self.cleaned_data.get("since") or until - timedelta(days=29)
        return max(since, until - timedelta(days=DAYS_MAX - 1)), until

"""Forms of the platform's operator."""

from django import forms
from django.utils.translation import gettext_lazy as _


class ReasonForm(forms.Form):
    """Why something is suspended or may go on; kept in the trail of deeds."""

    reason = forms.CharField(label=_("Reason"), max_length=300, help_text=_("Kept in the audit trail."))

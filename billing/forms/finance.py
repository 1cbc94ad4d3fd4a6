"""Forms of the platform's finance: filters, reasons, bank transfers, months to close and to state."""

import re
from typing import Any
from uuid import uuid4

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.core.money import PLAIN_LENGTH_MAX
from billing.core.periods import YEAR_MAX, YEAR_MIN
from billing.errors import InvalidInput
from billing.models import Invoice, InvoiceStatus, PaymentStatus
from billing.services.invoices import REASON_CHARACTERS_MAX
from billing.services.payments import REFERENCE_CHARACTERS_MAX
from billing.words import amount_read

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


class InvoiceFilterForm(forms.Form):
    """Which invoices finance looks at; what is wrong narrows nothing."""

    status = forms.ChoiceField(label=_("Document"), choices=[("", _("All")), *InvoiceStatus.choices], required=False)
    payment_status = forms.ChoiceField(
        label=_("Payment"), choices=[("", _("All")), *PaymentStatus.choices], required=False
    )
    number = forms.CharField(label=_("Number"), max_length=40, required=False)
    organization = forms.CharField(max_length=60, required=False, widget=forms.HiddenInput)


class ReasonForm(forms.Form):
    """Why an invoice is declared void."""

    reason = forms.CharField(
        label=_("Reason"),
        max_length=REASON_CHARACTERS_MAX,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("The consumer reads it on the invoice's page."),
    )


class TransferForm(forms.Form):
    """Money that came in by bank. The key makes a form that was sent twice one payment."""

    amount = forms.CharField(
        label=_("Amount received"),
        max_length=PLAIN_LENGTH_MAX,
        widget=forms.TextInput({"inputmode": "decimal", "autocomplete": "off"}),
    )
    reference = forms.CharField(
        label=_("Text on the bank statement"),
        max_length=REFERENCE_CHARACTERS_MAX,
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    received_on = forms.DateField(label=_("Received on"), widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    more = forms.BooleanField(label=_("More came in than is due"), required=False)
    key = forms.UUIDField(widget=forms.HiddenInput, required=False, initial=uuid4)

    def __init__(self, *args: Any, invoice: Invoice, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.invoice = invoice

    def clean_amount(self) -> int:
        """Minor units of the invoice's currency; more places than it has are refused."""
        try:
            money = amount_read(self.cleaned_data["amount"], self.invoice.currency)
        except InvalidInput as problem:
            raise forms.ValidationError(problem.message) from problem
        if money.minor <= 0:
            raise forms.ValidationError(_now("Give an amount above zero."))
        return money.minor

    @property
    def excess_minor(self) -> int:
        """How much more than is due a valid form records without saying so."""
        cleaned = self.cleaned_data
        return 0 if cleaned["more"] else max(0, cleaned["amount"] - self.invoice.due_minor)

    def recorded(self) -> dict[str, Any]:
        """What ``payment_record`` takes."""
        cleaned = self.cleaned_data
        return {
            "amount_minor": cleaned["amount"],
            "reference": cleaned["reference"],
            "received_on": cleaned["received_on"],
        }


class MonthForm(forms.Form):
    """A month, such as 2026-10."""

    month = forms.CharField(
        label=_("Month"),
        max_length=7,
        widget=forms.TextInput({"type": "month", "placeholder": "2026-10", "autocomplete": "off"}),
    )

    def clean_month(self) -> str:
        """A month that billing's calendar has."""
        return month_check(self.cleaned_data["month"])


class ClosingForm(forms.Form):
    """Which periods to close."""

    scope = forms.ChoiceField(
        label=_("Periods"),
        choices=[
            ("ended", _("All that have ended and are not drafted or only drafted")),
            ("month", _("Those that begin in a month, even when they still run")),
        ],
        initial="ended",
        widget=forms.RadioSelect,
    )
    month = forms.CharField(
        label=_("Month"),
        max_length=7,
        required=False,
        widget=forms.TextInput({"type": "month", "placeholder": "2026-10", "autocomplete": "off"}),
        help_text=_(
            "Of each subscription's time zone. Later calls of a period that still runs go on the next invoice."
        ),
    )

    def clean(self) -> dict[str, Any]:
        """The month is needed only when it is asked for."""
        cleaned = super().clean() or {}
        if cleaned.get("scope") == "month" and "month" not in self.errors:
            try:
                cleaned["month"] = month_check(cleaned.get("month") or "")
            except forms.ValidationError as problem:
                self.add_error("month", problem)
        elif cleaned.get("scope") == "ended":
            cleaned["month"] = ""
        return cleaned


def month_check(text: str) -> str:
    """Return a month as ``YYYY-MM``. Raises ValidationError."""
    match = _MONTH.fullmatch(text)
    if match is None or not YEAR_MIN < int(match[1]) < YEAR_MAX:
        raise forms.ValidationError(_now("Write a month as year and month, such as 2026-10."))
    return text

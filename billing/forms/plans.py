"""The form of a plan: how it is called, what it costs, what it allows. Its price of calls is ``forms.prices``."""

from dataclasses import asdict
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.core.currencies import EXPONENTS
from billing.core.pricing import PriceKind
from billing.errors import InvalidInput
from billing.forms.prices import UsagePriceForm, amount_field
from billing.models import Alignment
from billing.models.plans import PERIOD_MONTHS_MAX
from billing.selectors.plans import PlanCard
from billing.services.plans import PriceDraft
from marketplace.contracts.limits import Limits, QuotaLimit, RateLimit
from marketplace.core.limits import CALLS_MAX, UNITS_MAX

FIRST_CURRENCIES = ("EUR", "USD", "CNY", "GBP")
CURRENCIES = [(code, code) for code in (*FIRST_CURRENCIES, *sorted(set(EXPONENTS) - set(FIRST_CURRENCIES)))]
PERIODS = [("1", _("second")), ("60", _("minute")), ("3600", _("hour"))]
WINDOWS = [
    ("day", _("calendar day")),
    ("hour", _("hour")),
    ("month", _("calendar month")),
    ("period", _("billing period")),
]
ENDS = [
    ("hard", _("Hard: refuse calls beyond it")),
    ("soft", _("Soft: count them and let them through")),
]
_LIMIT_FIELDS = {"/limits/rates/0": "/rate_calls", "/limits/quota": "/quota_units", "/limits": "/rate_calls"}


class PlanForm(UsagePriceForm):
    """A whole plan: at most one fee and one price of calls, one rate and one quota. Richer plans come through the API."""

    name = forms.CharField(label=_("Name"), max_length=80)
    summary = forms.CharField(
        label=_("Summary"), max_length=300, required=False, help_text=_("One line for the pricing tab.")
    )
    currency = forms.ChoiceField(
        label=_("Currency"),
        choices=CURRENCIES,
        error_messages={"invalid_choice": _("Choose an ISO 4217 currency of the list, such as EUR, USD or CNY.")},
    )
    period_months = forms.IntegerField(
        label=_("Billing period (months)"),
        min_value=1,
        max_value=PERIOD_MONTHS_MAX,
        initial=1,
        widget=forms.TextInput({"inputmode": "numeric"}),
    )
    alignment = forms.ChoiceField(label=_("Periods begin"), choices=Alignment.choices, initial=Alignment.CALENDAR)
    is_visible = forms.BooleanField(label=_("Shown on the pricing tab"), required=False, initial=True)
    fee = amount_field(
        _("Fee of a billing period"), help_text=_("Empty or 0: none. A part of a period costs its share.")
    )
    rate_calls = forms.IntegerField(
        label=_("Rate: calls"),
        min_value=1,
        max_value=CALLS_MAX,
        required=False,
        widget=forms.TextInput({"inputmode": "numeric"}),
    )
    rate_period = forms.ChoiceField(label=_("per"), choices=PERIODS, initial="1")
    quota_units = forms.IntegerField(
        label=_("Quota: calls"),
        min_value=0,
        max_value=UNITS_MAX,
        required=False,
        widget=forms.TextInput({"inputmode": "numeric"}),
    )
    quota_window = forms.ChoiceField(label=_("each"), choices=WINDOWS, initial="day")
    quota_end = forms.ChoiceField(label=_("At its end"), choices=ENDS, initial="hard", widget=forms.RadioSelect)

    def fields_given(self) -> dict[str, Any]:
        """What ``plan_create`` and ``plan_update`` take beside the prices."""
        names = ("name", "summary", "currency", "period_months", "alignment", "is_visible")
        return {**{name: self.cleaned_data[name] for name in names}, "limits": self.limits()}

    def prices(self) -> list[PriceDraft]:
        """The fee, if there is one, and the price of calls, if there is one."""
        drafts = []
        if self.cleaned_data["fee"].strip(" 0.,"):
            drafts.append(PriceDraft(_now("Fee"), {"kind": "flat", "unit_amount": self.cleaned_data["fee"]}))
        spec = self.spec()
        if spec is not None:
            drafts.append(PriceDraft(_now("Calls"), spec))
        return drafts

    def limits(self) -> Limits:
        """One rate and one quota, each only when given."""
        cleaned = self.cleaned_data
        rates = (RateLimit(cleaned["rate_calls"], int(cleaned["rate_period"])),) if cleaned.get("rate_calls") else ()
        units = cleaned.get("quota_units")
        quota = None
        if units is not None:
            quota = QuotaLimit(units=units, window=cleaned["quota_window"], hard=cleaned["quota_end"] == "hard")
        return Limits(rates=rates, quota=quota)

    def refusal(self, error: InvalidInput) -> InvalidInput:
        """Return the service's refusal with its faults at the fields of this form."""
        drafts = self.prices()
        faults = list(error.faults)
        for place, draft in enumerate(drafts):
            if draft.spec["kind"] == PriceKind.FLAT:
                base = f"/prices/{place}/"
                faults = [type(one)("/fee", one.detail) if one.pointer.startswith(base) else one for one in faults]
            else:
                faults = self.faults_place(faults, base=f"/prices/{place}")
        for pointer, name in _LIMIT_FIELDS.items():
            faults = [type(one)(name, one.detail) if one.pointer.startswith(pointer) else one for one in faults]
        faults = [type(one)("/name", one.detail) if one.pointer == "/slug" else one for one in faults]
        return InvalidInput(error.message, code=error.code, faults=faults)

    @classmethod
    def initial_from(cls, card: PlanCard) -> dict[str, Any]:
        """The form's values for a draft that is there."""
        plan, limits = card.plan, card.limits
        names = ("name", "summary", "currency", "period_months", "alignment", "is_visible")
        values = {name: getattr(plan, name) for name in names}
        usage = next((spec for _price, spec in card.prices if spec.kind is not PriceKind.FLAT), None)
        values |= cls.initial_of(usage)
        values["fee"] = card.fee_text if card.fee else ""
        if limits.rates:
            values |= {"rate_calls": limits.rates[0].calls, "rate_period": str(limits.rates[0].period_s)}
        if limits.quota:
            end = "hard" if limits.quota.hard else "soft"
            values |= {"quota_units": limits.quota.units, "quota_window": limits.quota.window, "quota_end": end}
        return values

    @classmethod
    def is_fitting(cls, card: PlanCard) -> bool:
        """Whether this form can show the whole plan: saving would lose nothing."""
        fees = sum(spec.kind is PriceKind.FLAT for _price, spec in card.prices)
        usage = [price for price, spec in card.prices if spec.kind is not PriceKind.FLAT]
        limits = card.limits
        plain_rates = all(
            rate == RateLimit(rate.calls, rate.period_s) and str(rate.period_s) in dict(PERIODS)
            for rate in limits.rates
        )
        quota = limits.quota
        plain_quota = quota is None or asdict(quota) == asdict(
            QuotaLimit(units=quota.units, window=quota.window, hard=quota.hard)
        )
        calls_only = all(price.meter is not None and price.meter.slug == "calls" for price in usage)
        return fees <= 1 and len(usage) <= 1 and len(limits.rates) <= 1 and plain_rates and plain_quota and calls_only


class FeeForm(forms.Form):
    """The fee that supersedes another."""

    unit_amount = amount_field(_("Fee of a billing period"), sample="29.00")

    def spec(self) -> dict[str, Any]:
        """As PriceSpec.from_dict reads it."""
        return {"kind": "flat", "unit_amount": self.cleaned_data["unit_amount"] or "0"}

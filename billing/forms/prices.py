"""The price of calls as a flat form over PriceSpec: one price, tiers, packages, included calls. Amounts stay text for the core to read."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from billing.core.money import decimal_show
from billing.core.pricing import PriceKind, PriceSpec
from billing.core.pricing.spec import TIERS_MAX, UNITS_MAX
from billing.errors import Fault

NONE = "none"
TIER_ROWS = 4
TIER_ROWS_MORE = 4
AMOUNT_LENGTH_MAX = 40
_TIER_PARTS = ("up_to", "unit_amount", "flat_amount")

MODELS = [
    (NONE, _("None: calls are in the fee, or free")),
    ("per_unit", _("One price for each call")),
    ("graduated", _("Graduated: each tier of calls at its own price")),
    ("volume", _("Volume: all calls at the price of the tier reached")),
    ("package", _("Packages: each begun package is paid whole")),
]


def amount_field(label: Any, *, sample: str = "0.0025", **given: Any) -> forms.CharField:
    """An amount as text: up to 12 places, read by the core and never by a binary number."""
    widget = forms.TextInput({"inputmode": "decimal", "autocomplete": "off", "placeholder": sample})
    return forms.CharField(label=label, max_length=AMOUNT_LENGTH_MAX, required=False, widget=widget, **given)


def units_field(label: Any, **given: Any) -> forms.IntegerField:
    """A number of calls."""
    errors = {
        "invalid": _("Write a whole number of calls."),
        "min_value": _("Write a number from %(limit_value)s up."),
        "max_value": _("Write a number up to %(limit_value)s."),
    }
    return forms.IntegerField(
        label=label,
        required=False,
        max_value=UNITS_MAX,
        error_messages=errors,
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        **given,
    )


class UsagePriceForm(forms.Form):
    """What calls cost. ``spec`` gives what PriceSpec.from_dict reads; ``refuse`` brings its faults back to the fields."""

    model = forms.ChoiceField(label=_("Price of calls"), choices=MODELS, initial=NONE, widget=forms.RadioSelect)
    included_units = units_field(
        _("Included calls"), min_value=1, help_text=_("Free in each billing period, before the prices below begin.")
    )
    unit_amount = amount_field(_("Price"), help_text=_("For each call, or for each package. Up to 12 decimal places."))
    package_size = units_field(_("Calls in a package"), min_value=1)

    def __init__(self, *args: Any, tier_rows: int = TIER_ROWS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tier_rows = min(max(tier_rows, TIER_ROWS), TIERS_MAX)
        for row in range(self.tier_rows):
            self.fields[f"tier_{row}_up_to"] = units_field(_("Up to"), min_value=1)
            self.fields[f"tier_{row}_unit_amount"] = amount_field(_("Price of each"))
            self.fields[f"tier_{row}_flat_amount"] = amount_field(_("Once, when reached"), sample="")

    @property
    def rows(self) -> list[tuple[Any, Any, Any]]:
        """The fields of each tier, for the template."""
        return [
            (self[f"tier_{at}_up_to"], self[f"tier_{at}_unit_amount"], self[f"tier_{at}_flat_amount"])
            for at in range(self.tier_rows)
        ]

    def clean(self) -> dict[str, Any]:
        """What does not belong together is said before the core is asked."""
        cleaned = super().clean() or {}
        model, included = cleaned.get("model"), cleaned.get("included_units")
        if included and model in ("volume", "package"):
            text = _now(
                "Included calls can be followed by one price for each call, or by graduated tiers. Clear one of the two."
            )
            self.add_error("included_units", text)
        if included and model == NONE:
            text = _now(
                "Say what calls beyond the included ones cost, even if it is 0; or limit them by a hard quota instead."
            )
            self.add_error("included_units", text)
        if model in ("per_unit", "package") and not cleaned.get("unit_amount"):
            self.add_error("unit_amount", _now("Write a price, such as 0.0025."))
        if model == "package" and not cleaned.get("package_size") and "package_size" not in self.errors:
            self.add_error("package_size", _now("Say how many calls a package has."))
        if model in ("graduated", "volume") and not self._filled(cleaned):
            self.add_error(
                "tier_0_unit_amount", _now("Fill in at least one tier. Leave “up to” of the last one empty.")
            )
        self._unused_refuse(cleaned)
        return cleaned

    def spec(self) -> dict[str, Any] | None:
        """The price as PriceSpec.from_dict reads it; None when calls have none. Only after validation."""
        cleaned = self.cleaned_data
        model, included = cleaned["model"], cleaned.get("included_units")
        if model == NONE:
            return None
        if model == "package":
            return {"kind": "package", "unit_amount": cleaned["unit_amount"], "package_size": cleaned["package_size"]}
        priced = {"unit_amount": cleaned["unit_amount"]} if model == "per_unit" else {"tiers": self._tiers(cleaned)}
        if included:
            return {"kind": "included", "included_units": included, **priced}
        return {"kind": model, **priced}

    def faults_place(self, faults: Iterable[Fault], *, base: str) -> list[Fault]:
        """Rename faults below ``base`` (such as /prices/1) to the form's fields; others stay."""
        return [Fault(self._pointer(fault.pointer, base), fault.detail) for fault in faults]

    @staticmethod
    def initial_of(spec: PriceSpec | None) -> dict[str, Any]:
        """The form's values for a price that is there."""
        if spec is None:
            return {"model": NONE}
        model = spec.kind.value
        if spec.kind is PriceKind.INCLUDED:
            model = "graduated" if spec.tiers else "per_unit"
        values: dict[str, Any] = {"model": model, "included_units": spec.included_units or None}
        if not spec.tiers:
            values["unit_amount"] = decimal_show(spec.unit_amount)
        if spec.kind is PriceKind.PACKAGE:
            values["package_size"] = spec.package_size
        for row, tier in enumerate(spec.tiers):
            values[f"tier_{row}_up_to"] = tier.up_to
            values[f"tier_{row}_unit_amount"] = decimal_show(tier.unit_amount)
            values[f"tier_{row}_flat_amount"] = decimal_show(tier.flat_amount) if tier.flat_amount else ""
        return values

    def _unused_refuse(self, cleaned: Mapping[str, Any]) -> None:
        """What the chosen kind of price does not use is refused rather than dropped."""
        model = cleaned.get("model")
        if model is None:
            return
        rows = self._filled(cleaned) if model not in ("graduated", "volume") else []
        if rows:
            part = next(part for part in _TIER_PARTS if cleaned.get(f"tier_{rows[0]}_{part}") not in (None, ""))
            self.add_error(
                f"tier_{rows[0]}_{part}",
                _now("This kind of price has no tiers. Clear them, or choose graduated or volume."),
            )
        if cleaned.get("package_size") and model != "package":
            self.add_error("package_size", _now("Only packages have a size. Clear it, or choose packages."))
        if (cleaned.get("unit_amount") or "").strip(" 0.,") and model not in ("per_unit", "package"):
            self.add_error(
                "unit_amount",
                _now("The price stands in the tiers, or there is none. Clear it, or choose one price for each call."),
            )

    def _filled(self, cleaned: Mapping[str, Any]) -> list[int]:
        """The rows of tiers in which anything stands."""
        return [
            row
            for row in range(self.tier_rows)
            if any(cleaned.get(f"tier_{row}_{part}") not in (None, "") for part in _TIER_PARTS)
        ]

    def _tiers(self, cleaned: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [
            {
                "up_to": cleaned.get(f"tier_{row}_up_to"),
                "unit_amount": cleaned.get(f"tier_{row}_unit_amount") or "0",
                "flat_amount": cleaned.get(f"tier_{row}_flat_amount") or "0",
            }
            for row in self._filled(cleaned)
        ]

    def _pointer(self, pointer: str, base: str) -> str:
        if not pointer.startswith(base):
            return pointer
        parts = pointer[len(base) :].strip("/").split("/")
        if parts[0] != "tiers":
            return f"/{parts[0]}"
        rows = self._filled(self.cleaned_data)
        if len(parts) == 3 and parts[1].isdecimal() and int(parts[1]) < len(rows):
            return f"/tier_{rows[int(parts[1])]}_{parts[2]}"
        return "/tier_0_unit_amount"


def rows_asked(values: Mapping[str, Any] | None, spec: PriceSpec | None = None) -> int:
    """How many rows of tiers to show: as many as were sent or stand in the price, and more when they were asked for."""
    sent = [name for name in values or {} if name.startswith("tier_") and name.endswith("_up_to")]
    rows = len(sent) or (len(spec.tiers) + 1 if spec else 0)
    return min(rows + (TIER_ROWS_MORE if values and "more" in values else 0), TIERS_MAX)

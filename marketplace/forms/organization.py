"""Forms about people and organizations: names, roles, preferences, access tokens."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from marketplace.core.permissions import SCOPES
from marketplace.models import Organization, Person, Role

TOKEN_DAYS = [("30", _("30 days")), ("90", _("90 days")), ("365", _("One year")), ("", _("Never"))]


class LongSelect(forms.Select):
    """A select of hundreds of choices, put together without a template for each: a page of zones in a millisecond."""

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """The element as HTML."""
        chosen = str(value or "")
        choices = ((key, " selected" if key == chosen else "", label) for key, label in self.choices)
        options = format_html_join("", '<option value="{}"{}>{}</option>', choices)
        return format_html(
            "<select{}>{}</select>", flatatt(self.build_attrs(self.attrs, {"name": name, **(attrs or {})})), options
        )


def time_zone_choices() -> list[tuple[str, str]]:
    """All IANA zones, by name."""
    return [(zone, zone.replace("_", " ")) for zone in sorted(available_timezones())]


class OrganizationNewForm(forms.Form):
    """A new organization."""

    name = forms.CharField(
        label=_("Organization name"), max_length=120, widget=forms.TextInput({"autocomplete": "organization"})
    )
    is_provider = forms.BooleanField(label=_("We want to publish APIs"), required=False)


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]
    """What an organization says about itself; the legal part goes onto invoices."""

    language = forms.ChoiceField(label=_("Language of documents"), choices=settings.LANGUAGES)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=time_zone_choices,
        widget=LongSelect,
        help_text=_("Billing periods and daily figures follow it."),
    )

    class Meta:
        model = Organization
        fields = (
            *("name", "is_consumer", "is_provider", "language", "time_zone"),
            *("legal_name", "address", "country", "tax_id", "billing_email"),
        )
        labels = {
            "is_consumer": _("Consumes APIs"),
            "is_provider": _("Publishes APIs"),
            "country": _("Country code"),
        }
        help_texts = {"country": _("Two letters, such as DE or CN.")}
        widgets = {"address": forms.Textarea({"rows": 3, "autocomplete": "street-address"})}

    def clean_country(self) -> str:
        """Two letters, upper case, or nothing."""
        country = str(self.cleaned_data["country"]).upper()
        if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise forms.ValidationError(_("Give the two letters of the country, such as DE."))
        return country


class InviteForm(forms.Form):
    """Offer a role to an e-mail address."""

    email = forms.EmailField(
        label=_("E-mail address"), max_length=254, widget=forms.EmailInput({"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.DEVELOPER)


class RoleForm(forms.Form):
    """Another role for a member."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """What a person says about themselves."""

    language = forms.ChoiceField(
        label=_("Language"),
        choices=settings.LANGUAGES,
        help_text=_("Pages speak English so far; another choice counts once they are translated."),
    )
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=time_zone_choices, widget=LongSelect, help_text=_("Times are shown in it.")
    )

    class Meta:
        model = Person
        fields = ("name", "language", "time_zone")
        widgets = {"name": forms.TextInput({"autocomplete": "name"})}


class TokenForm(forms.Form):
    """A new access token of the REST API."""

    name = forms.CharField(
        label=_("Name"), max_length=80, help_text=_("Where it is used, such as “CI of the weather service”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("Scopes"), choices=[(scope, scope) for scope in SCOPES], widget=forms.CheckboxSelectMultiple
    )
    days = forms.ChoiceField(label=_("Ends after"), choices=TOKEN_DAYS, required=False, initial="90")

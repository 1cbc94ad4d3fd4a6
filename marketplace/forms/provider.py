"""Forms of the provider: documents to import, presentation, upstreams, policies, deployments."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from marketplace.contracts.definition import ApiPolicies
from marketplace.contracts.limits import RateLimit
from marketplace.core.paths import MalformedPath, base_path_parse
from marketplace.core.policies import SIGNATURE_METHODS
from marketplace.core.upstreams import UpstreamRefused, upstream_url_parse
from marketplace.models import Api, StageName, Visibility

DOCUMENT_BYTES_MAX = 2 * 1024 * 1024
"""Largest OpenAPI document that a page takes, in octets."""
CATEGORIES = [
    ("", _("None")),
    ("Weather", _("Weather")),
    ("Maps and places", _("Maps and places")),
    ("Finance", _("Finance")),
    ("Identity and risk", _("Identity and risk")),
    ("Messaging", _("Messaging")),
    ("Data and search", _("Data and search")),
    ("AI and language", _("AI and language")),
    ("Commerce", _("Commerce")),
    ("Developer tools", _("Developer tools")),
]
PERIODS = [("1", _("second")), ("60", _("minute")), ("3600", _("hour"))]


class DocumentForm(forms.Form):
    """An OpenAPI document: pasted, or a file."""

    text = forms.CharField(
        label=_("OpenAPI 3 document"),
        required=False,
        max_length=DOCUMENT_BYTES_MAX,
        strip=False,
        widget=forms.Textarea(
            {"spellcheck": "false", "autocomplete": "off", "placeholder": "openapi: 3.1.0\ninfo:\n  title: …"}
        ),
        help_text=_("YAML or JSON, OpenAPI 3.0 or 3.1, up to 2 MiB."),
    )
    file = forms.FileField(
        label=_("Or a file"),
        required=False,
        widget=forms.FileInput({"accept": ".yaml,.yml,.json,application/json,application/yaml"}),
    )

    def clean(self) -> dict[str, Any]:
        """Exactly one source, decoded as UTF-8, ends up in ``document``."""
        cleaned = super().clean() or {}
        upload, text = cleaned.get("file"), cleaned.get("text") or ""
        if upload is not None:
            text = self._read(upload)
        if not text.strip() and not self.errors:
            self.add_error("text", _("Paste a document or choose a file."))
        if "\x00" in text:
            self.add_error("text", _("The document contains NUL characters, which YAML and JSON do not allow."))
        cleaned["document"] = text
        return cleaned

    def _read(self, upload: Any) -> str:
        if upload.size > DOCUMENT_BYTES_MAX:
            self.add_error("file", _("The file is larger than 2 MiB."))
            return ""
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            self.add_error("file", _("The file is not UTF-8 text."))
            return ""


class ApiNewForm(forms.Form):
    """How a new API is called and where it lives."""

    name = forms.CharField(label=_("Name"), max_length=80)
    base_path = forms.CharField(
        label=_("Base path"), max_length=120, help_text=_("Its place at the gateway. It cannot be changed later.")
    )
    summary = forms.CharField(
        label=_("Summary"), max_length=200, required=False, help_text=_("One line for the catalogue.")
    )
    category = forms.ChoiceField(label=_("Category"), choices=CATEGORIES, required=False)
    visibility = forms.ChoiceField(label=_("Catalogue"), choices=Visibility.choices, initial=Visibility.PUBLIC)
    upstream_url = forms.CharField(
        label=_("Upstream address"),
        max_length=300,
        required=False,
        help_text=_("Where calls go: the address of your service. Used for all three stages; change each later."),
        widget=forms.TextInput({"inputmode": "url", "placeholder": "http://weather.default.svc:8080"}),
    )

    def clean_base_path(self) -> str:
        """Judged here already, so that all faults of the form show at once; whether it is taken, the service knows."""
        try:
            return base_path_parse(self.cleaned_data["base_path"])
        except MalformedPath as error:
            raise forms.ValidationError(str(error)) from error

    def clean_upstream_url(self) -> str:
        """As ``clean_base_path``."""
        url = str(self.cleaned_data["upstream_url"]).strip()
        try:
            return url and upstream_url_parse(url, is_private_allowed=settings.TOLLGATE_UPSTREAM_PRIVATE)
        except UpstreamRefused as error:
            raise forms.ValidationError(str(error)) from error


class ApiForm(forms.ModelForm):  # type: ignore[type-arg]
    """How an API presents itself."""

    category = forms.ChoiceField(label=_("Category"), choices=CATEGORIES, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the API's own category too, when it came by REST and is none of ours: saving must not lose it."""
        super().__init__(*args, **kwargs)
        own = self.instance.category
        if own not in dict(CATEGORIES):
            self.fields["category"].choices = [*CATEGORIES, (own, own)]  # type: ignore[attr-defined]  # a ChoiceField

    class Meta:
        model = Api
        fields = ("name", "summary", "description", "category", "visibility")
        widgets = {"description": forms.Textarea({"rows": 8})}
        help_texts = {"description": _("Markdown.")}
        labels = {"description": _("Description"), "visibility": _("Catalogue")}


class UpstreamForm(forms.Form):
    """Where the calls of one stage go."""

    url = forms.CharField(
        label=_("Address"),
        max_length=300,
        widget=forms.TextInput({"inputmode": "url", "placeholder": "http://weather.default.svc:8080"}),
    )
    host = forms.CharField(
        label=_("Host header"), max_length=253, required=False, help_text=_("Empty: the address's own.")
    )
    timeout_ms = forms.IntegerField(label=_("Time-out (ms)"), min_value=1, max_value=600_000, initial=10_000)


class DeployForm(forms.Form):
    """Put the API as it is now live on a stage."""

    stage = forms.ChoiceField(label=_("Stage"), choices=StageName.choices, initial=StageName.RELEASE)
    note = forms.CharField(label=_("Note"), max_length=300, required=False, help_text=_("What changed, for your team."))


class PoliciesForm(forms.Form):
    """Authentication and rate limits of an API, as one flat form over ApiPolicies."""

    auth = forms.ChoiceField(
        label=_("Who may call"),
        choices=[("app", _("Apps with a grant")), ("anonymous", _("Anybody, without credentials"))],
        widget=forms.RadioSelect,
    )
    app_code = forms.ChoiceField(
        label=_("AppCode is taken from"),
        choices=[
            ("header_query", _("Header or query string")),
            ("header", _("Header only")),
            ("disable", _("Nowhere: signatures only")),
        ],
    )
    signature_methods = forms.MultipleChoiceField(
        label=_("Signature methods"),
        choices=[(method, method) for method in SIGNATURE_METHODS],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    nonce_required = forms.BooleanField(
        label=_("Require a nonce"),
        required=False,
        help_text=_("Refuse signed calls without X-Ca-Nonce, so that none can be replayed."),
    )
    body_bytes_max = forms.IntegerField(
        label=_("Largest body (bytes)"),
        min_value=0,
        max_value=10 * 1024**3,
        required=False,
        help_text=_("0: the gateway's own limit."),
    )
    RATES = (
        ("rate_api", _("All callers together")),
        ("rate_organization", _("Each organization")),
        ("rate_app", _("Each app")),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, label in self.RATES:
            self.fields[f"{name}_calls"] = forms.IntegerField(
                label=label, min_value=1, max_value=10_000_000, required=False
            )
            self.fields[f"{name}_period"] = forms.ChoiceField(
                label=_("per"), choices=PERIODS, required=False, initial="60"
            )
            self.fields[f"{name}_burst"] = forms.IntegerField(
                label=_("burst"), min_value=0, max_value=10_000_000, required=False
            )

    @classmethod
    def initial_of(cls, policies: ApiPolicies) -> dict[str, Any]:
        """The form's values for an API's present policies."""
        values: dict[str, Any] = {
            name: getattr(policies, name) for name in ("auth", "app_code", "nonce_required", "body_bytes_max")
        }
        values["signature_methods"] = list(policies.signature_methods)
        for name, _label in cls.RATES:
            rate: RateLimit | None = getattr(policies, name)
            if rate is not None:
                values |= {
                    f"{name}_calls": rate.calls,
                    f"{name}_period": str(rate.period_s),
                    f"{name}_burst": rate.burst or None,
                }
        return values

    def policies(self, before: dict[str, Any]) -> dict[str, Any]:
        """What ``policies_set`` takes: the form's values over ``before`` (which keeps what the form does not show)."""
        cleaned = self.cleaned_data
        rates = {}
        for name, _label in self.RATES:
            calls = cleaned.get(f"{name}_calls")
            period_s = int(cleaned.get(f"{name}_period") or 60)
            rates[name] = (
                {"calls": calls, "period_s": period_s, "burst": cleaned.get(f"{name}_burst") or 0} if calls else None
            )
        return {
            **before,
            **rates,
            "auth": cleaned["auth"],
            "app_code": cleaned["app_code"],
            "signature_methods": list(cleaned["signature_methods"]),
            "nonce_required": cleaned["nonce_required"],
            "body_bytes_max": cleaned.get("body_bytes_max") or 0,
        }

    @property
    def rate_rows(self) -> list[tuple[Any, Any, Any]]:
        """(calls, period, burst) fields of each rate, for the template."""
        return [(self[f"{name}_calls"], self[f"{name}_period"], self[f"{name}_burst"]) for name, _label in self.RATES]

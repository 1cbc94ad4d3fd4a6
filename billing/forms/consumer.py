"""Forms of the consumer: the calculator of a pricing page, and subscribing."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from billing.selectors.quotes import CALLS_MAX
from marketplace.models import App, StageName

NEW_APP = "new"


class CalculatorForm(forms.Form):
    """How many calls a month to price."""

    calls = forms.IntegerField(
        label=_("Calls a month"),
        min_value=0,
        max_value=CALLS_MAX,
        initial=10_000,
        error_messages={
            "invalid": _("Write a whole number of calls, such as 50000."),
            "min_value": _("Calls are counted from 0 up."),
            "max_value": _("The calculator takes up to a million million calls."),
        },
        widget=forms.NumberInput({"inputmode": "numeric", "step": "1"}),
    )


class SubscribeForm(forms.Form):
    """Which app calls, on which stage. ``app`` is a public id, or ``new`` with a name."""

    app = forms.ChoiceField(
        label=_("App"), help_text=_("The program that will call. One app can be subscribed to many APIs.")
    )
    app_name = forms.CharField(
        label=_("Name of the new app"),
        max_length=80,
        required=False,
        help_text=_("Only for a new app, such as “Checkout backend”."),
    )
    stage = forms.ChoiceField(
        label=_("Stage"),
        initial=StageName.RELEASE,
        help_text=_("Release is the live one. The others are for trying out what the provider is preparing."),
    )

    def __init__(self, *args: Any, apps: list[App], may_create: bool, stages: list[str], **kwargs: Any) -> None:
        """``stages``: names of those where something is live; without any, release is offered for what comes."""
        super().__init__(*args, **kwargs)
        offered = stages or [StageName.RELEASE]
        self.fields["stage"].choices = [pair for pair in StageName.choices if pair[0] in offered]  # type: ignore[attr-defined]
        self.apps = {app.public_id: app for app in apps}
        choices: list[tuple[str, Any]] = [(public_id, app.name) for public_id, app in self.apps.items()]
        if may_create:
            choices.append((NEW_APP, _("A new app")))
        self.fields["app"].choices = choices  # type: ignore[attr-defined]
        if not may_create:
            del self.fields["app_name"]
        elif not apps:
            self.fields["app"].initial = NEW_APP

    def clean(self) -> dict[str, Any]:
        """A new app needs a name."""
        cleaned = super().clean() or {}
        if cleaned.get("app") == NEW_APP and "app_name" not in self.errors and not cleaned.get("app_name"):
            self.add_error("app_name", _("Give the new app a name."))
        return cleaned

    def chosen(self) -> dict[str, Any]:
        """What ``subscription_checkout`` takes."""
        cleaned = self.cleaned_data
        return {
            "app": self.apps.get(cleaned["app"]),
            "app_name": cleaned.get("app_name", ""),
            "stage": cleaned["stage"],
        }

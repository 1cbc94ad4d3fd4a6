"""The style guide: every component on one page, with made-up values. Served in demo and test only."""

from datetime import timedelta
from types import SimpleNamespace

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.views.charts import Chart

SAMPLE = """curl https://gateway.example/weather/forecast?city=Lisbon \\
  -H "Authorization: APPCODE $TOLLGATE_APPCODE"
"""
SAMPLE_PYTHON = """import httpx

answer = httpx.get(
    "https://gateway.example/weather/forecast",
    params={"city": "Lisbon"},  # any city name
    headers={"Authorization": "APPCODE 7f3a…"},
)
print(answer.json())
"""
SAMPLE_JSON = '{\n  "city": "Lisbon",\n  "celsius": 19.5,\n  "wind": {"speed": 12, "from": "NW"},\n  "rain": false\n}'


class SampleForm(forms.Form):
    """One field of each kind."""

    name = forms.CharField(
        label=gettext_lazy("Name"), help_text=gettext_lazy("What your team calls it."), max_length=80
    )
    email = forms.EmailField(label=gettext_lazy("E-mail address"))
    stage = forms.ChoiceField(label=gettext_lazy("Stage"), choices=[("test", "Test"), ("release", "Release")])
    description = forms.CharField(label=gettext_lazy("Description"), required=False, widget=forms.Textarea)
    path = forms.CharField(label=gettext_lazy("Base path"), initial="/weather")
    role = forms.ChoiceField(
        label=gettext_lazy("Role"),
        choices=[("developer", "Developer"), ("viewer", "Viewer")],
        widget=forms.RadioSelect,
        initial="developer",
    )
    agree = forms.BooleanField(
        label=gettext_lazy("Require a nonce"), help_text=gettext_lazy("Refuse signed calls without one.")
    )


def styleguide(request: HttpRequest) -> HttpResponse:
    """Show every component."""
    if settings.TOLLGATE.environment == "production":
        raise Http404
    if "toast" in request.GET:
        messages.success(request, _("Deployment 4 is live on release."))
        messages.error(request, _("The upstream could not be reached."))
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=29 - at) for at in range(30)]
    wave = [abs((at * 37) % 90 - 30) * 14 + 180 for at in range(30)]
    chart = Chart(
        title=_("Calls a day"),
        moments=days,
        series=[
            (_("Succeeded"), 0, wave),
            (_("Client errors"), 1, [value // 11 for value in wave]),
            (_("Refused"), 2, [value // 7 if at % 5 == 0 else 4 for at, value in enumerate(wave)]),
            (_("Upstream failed"), 3, [9 if at == 21 else 1 for at in range(30)]),
        ],
    )
    context = {
        "chart": chart,
        "wave": wave,
        "now": timezone.now(),
        "form": SampleForm(),
        "faulty": SampleForm(
            {"name": "", "email": "not an address", "stage": "test", "path": "/x", "role": "developer"}
        ),
        "samples": [("curl", "bash", SAMPLE), ("Python", "python", SAMPLE_PYTHON)],
        "json": SAMPLE_JSON,
        "names": ["Weather", "Geocoding", "Rates"],
        "secret": [("AppKey", "24869317", False), ("AppSecret", "qX7b0nVt4kRz9sLw2mCy6pHd1uFg8jEa", True)],
        "page": SimpleNamespace(has_more=True, next_cursor="c2FtcGxl"),
        "crumbs": [(_("APIs"), "#"), ("Weather", "#"), (_("Style guide"), "")],
    }
    return render(request, "marketplace/styleguide.html", context)

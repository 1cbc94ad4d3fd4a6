"""The index of error codes: what each refusal means and how to mend it. Every refusal's body links here."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from gateway.core.rejections import REJECTIONS
from gateway.error_help import help_get, index_make


@require_safe
def error_index(request: HttpRequest) -> HttpResponse:
    """All codes, by who has to act; ``?code=`` leads to one."""
    code = request.GET.get("code", "").strip().upper()
    if code in REJECTIONS:
        return redirect("errors:detail", code)
    return render(request, "gateway/error_index.html", {"groups": index_make(), "code": code})


@require_safe
def error_detail(request: HttpRequest, code: str) -> HttpResponse:
    """One code. Lower case is led to upper case; an unknown one is not found."""
    kind = REJECTIONS.get(code.upper())
    if kind is None:
        raise Http404
    if code != kind.code:
        return redirect("errors:detail", kind.code, permanent=True)
    cause, remedy = help_get(kind.code)
    message = " ".join(kind.text.replace("{detail}", "…").split())
    context = {"kind": kind, "cause": cause, "remedy": remedy, "message": message}
    return render(request, "gateway/error_detail.html", context)

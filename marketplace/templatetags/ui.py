"""Components as tags: icons, fields, badges, cards, empty states, banners, code, secrets, slots. Numbers are in ``formats``.

Each tag renders one template of ``templates/components/``; ``templates/README.md`` shows them all with examples.
"""

from collections.abc import Mapping
from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, CheckboxSelectMultiple, RadioSelect
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from marketplace.views.highlight import highlight
from marketplace.views.slots import slot_render

register = template.Library()

TONES = ("", "ok", "warn", "danger", "accent", "violet")


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """An icon of the sprite, hidden from screen readers: the text beside it says the same."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        f" icon-{size}" if size else "",
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def badge(text: object, tone: str = "", *, icon_name: str = "") -> SafeString:
    """A short status. ``tone``: ok, warn, danger, accent, violet or empty; a dot or an icon goes with the colour."""
    mark = icon(icon_name) if icon_name else ""
    classes = f"badge badge-{tone}" if tone else "badge"
    return format_html('<span class="{}{}">{}{}</span>', classes, " badge-dot" if tone and not mark else "", mark, text)


@register.simple_tag
def method(name: str) -> SafeString:
    """An HTTP method as a coloured mark."""
    return format_html('<span class="method method-{}">{}</span>', name.upper(), name.upper())


@register.simple_tag
def field(bound: BoundField, label: str = "", *, prefix: str = "", css: str = "") -> SafeString:
    """A form field with its label, help and errors, linked to each other for screen readers."""
    widget = bound.field.widget
    kind = "input"
    if isinstance(widget, CheckboxInput):
        kind = "checkbox"
    elif isinstance(widget, RadioSelect | CheckboxSelectMultiple):
        kind = "group"
    attributes: dict[str, str | bool] = {"class": "mono"} if css == "mono" else {}
    context = {"field": bound, "kind": kind, "label": label or bound.label, "prefix": prefix, "css": css}
    return render_to_string("components/field.html", {**context, "input": bound.as_widget(attrs=attributes)})


@register.simple_tag
def fields(form: Any) -> SafeString:
    """All visible fields of a form, one below the other, and its hidden ones."""
    hidden = "".join(str(bound) for bound in form.hidden_fields())
    return SafeString(hidden + "".join(field(bound) for bound in form.visible_fields()))


@register.inclusion_tag("components/error_summary.html")
def error_summary(form: Any) -> dict[str, Any]:
    """What is wrong with a form, in one box that takes the focus; each line leads to its field."""
    return {
        "form": form,
        "faults": [(form[name] if name in form.fields else None, texts) for name, texts in form.errors.items()],
    }


@register.simple_block_tag
def card(content: str, title: str = "", *, text: str = "", css: str = "", flush: bool = False) -> SafeString:
    """A bordered box. ``flush`` leaves out the padding, for tables and lists."""
    context = {"content": content, "title": title, "text": text, "css": css, "flush": flush}
    return render_to_string("components/card.html", context)


@register.simple_block_tag
def empty(content: str, title: str, *, icon_name: str = "box", text: str = "") -> SafeString:
    """What to see and do where nothing is yet; the content holds the actions."""
    context = {"content": content, "title": title, "icon_name": icon_name, "text": text}
    return render_to_string("components/empty.html", context)


@register.simple_block_tag
def banner(content: str, title: str = "", *, tone: str = "", role: str = "") -> SafeString:
    """A notice inside the page. ``tone``: ok, warn, danger or empty (information)."""
    icon_name = {"ok": "circle-check", "warn": "triangle-alert", "danger": "circle-alert"}.get(tone, "info")
    context = {"content": content, "title": title, "tone": tone, "icon_name": icon_name, "role": role}
    return render_to_string("components/banner.html", context)


@register.simple_block_tag
def dialog(content: str, id: str, *, title: str) -> SafeString:
    """A native dialog. Open it with a link to a page that shows the same form, carrying ``data-dialog="<id>"``."""
    return render_to_string("components/dialog.html", {"content": content, "id": id, "title": title})


@register.simple_tag
def code(text: str, language: str = "text", *, title: str = "") -> SafeString:
    """A code block with a copy button; ``language``: json, python, bash, http or text."""
    return render_to_string(
        "components/code.html", {"html": highlight(text, language), "title": title, "language": language}
    )


@register.simple_tag
def samples(name: str, texts: list[tuple[str, str, str]]) -> SafeString:
    """The same sample in several languages: (label, language, text), one visible at a time (all without JavaScript)."""
    shown = [(label, highlight(text, language)) for label, language, text in texts]
    return render_to_string("components/samples.html", {"name": name, "samples": shown})


@register.simple_tag
def copyable(text: object, *, label: str = "") -> SafeString:
    """An id or key in monospace with a copy button; ``label`` names what is copied, for screen readers."""
    return render_to_string("components/copyable.html", {"text": text, "label": label})


@register.inclusion_tag("components/secret.html")
def secret(title: str, rows: list[tuple[str, str, bool]], *, text: str = "") -> dict[str, Any]:
    """A secret that is shown this once: rows of (label, value, is it secret)."""
    return {"title": title, "rows": rows, "text": text}


@register.inclusion_tag("components/pager.html", takes_context=True)
def pager(context: Mapping[str, Any], page: Any) -> dict[str, Any]:
    """Keyset paging: ``page`` has ``next_cursor`` and ``has_more``; the first page is one click away."""
    return {"page": page, "request": context.get("request")}


@register.simple_tag(takes_context=True)
def slots(context: template.Context, name: str) -> SafeString:
    """Everything that the installed apps have registered for this place of the page, in order."""
    page = {str(key): value for key, value in context.flatten().items()}
    return slot_render(name, page)

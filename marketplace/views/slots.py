"""Places in our pages that other apps fill: an app registers a template for a named place when it is loaded.

So the catalogue shows prices without marketplace knowing billing: billing registers the pricing tab of a listing, the
spend on the consumer's home and the plans of the API editor. The places are listed in ``templates/README.md``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

ContextMaker = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Slot:
    """One filling: its template, and a function from the page's context to its own (None: nothing to show)."""

    template: str
    context: ContextMaker
    order: int = 100


@dataclass(slots=True)
class _Registry:
    slots: dict[str, list[Slot]] = field(default_factory=dict)


_registry = _Registry()


def slot_register(name: str, *, template: str, context: ContextMaker, order: int = 100) -> None:
    """Show ``template`` at the place ``name``. Registering the same template there twice changes nothing."""
    filled = _registry.slots.setdefault(name, [])
    if all(slot.template != template for slot in filled):
        filled.append(Slot(template=template, context=context, order=order))
        filled.sort(key=lambda slot: slot.order)


def slot_render(name: str, page: Mapping[str, Any]) -> SafeString:
    """Render what is registered at ``name`` with the page's context, in order."""
    parts = []
    request: HttpRequest | None = page.get("request")
    for slot in _registry.slots.get(name, ()):
        own = slot.context(page)
        if own is not None:
            parts.append(render_to_string(slot.template, {**page, **own}, request=request))
    return SafeString("".join(parts))

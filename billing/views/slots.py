"""What billing adds to marketplace's pages: links in the navigation, and fillings of its slots. Registered once, at start."""

from django.utils.translation import gettext_lazy as _

from billing.views import homes, listing
from marketplace.views.navigation import NavItem, navigation_register
from marketplace.views.slots import slot_register

BILLS = ("owner", "finance", "developer")
"""Roles that see subscriptions."""

PURSE = ("owner", "finance")
"""Roles that see invoices and earnings: those who may bind and settle."""

_CONSUMER = (
    NavItem(
        area="consumer",
        label=_("Subscriptions"),
        url_name="billing:subscription_list",
        icon="layout-grid",
        order=40,
        group=_("Billing"),
        match=("billing:subscription_",),
        roles=BILLS,
    ),
)


def slots_fill() -> None:
    """Register everything. Safe to repeat."""
    navigation_register(*_CONSUMER)
    slot_register("listing.pricing", template="billing/slots/pricing.html", context=listing.pricing_context)
    slot_register("listing.actions", template="billing/slots/listing_actions.html", context=listing.actions_context)
    slot_register("catalog.card", template="billing/slots/card.html", context=listing.card_context)
    slot_register("consumer.home", template="billing/slots/consumer_home.html", context=homes.consumer_context)

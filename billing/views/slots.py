"""What billing adds to marketplace's pages: links in the navigation, and fillings of its slots. Registered once, at start."""

from functools import partial

from django.utils.translation import gettext_lazy as _

from billing.views import homes, listing, plans, subscribers
from marketplace.views.navigation import NavItem, navigation_register
from marketplace.views.slots import slot_register

_bill = partial(NavItem, area="consumer", group=_("Billing"))
_finance = partial(NavItem, area="finance")
_book = partial(NavItem, area="finance", group=_("Books"))

NAVIGATION = (
    _bill(
        label=_("Subscriptions"),
        url_name="billing:subscription_list",
        icon="layout-grid",
        order=40,
        match=("billing:subscription_",),
        action="billing.view",
    ),
    _bill(
        label=_("Invoices"),
        url_name="billing:invoice_list",
        icon="receipt",
        order=45,
        match=("billing:invoice_",),
        action="invoice.view",
    ),
    NavItem(
        area="provider",
        label=_("Earnings"),
        url_name="billing:earnings",
        icon="wallet",
        order=40,
        match=("billing:statement_",),
        action="invoice.view",
    ),
    _finance(label=_("Home"), url_name="billing:finance_home", icon="house", order=10),
    _finance(label=_("Review queue"), url_name="billing:finance_queue", icon="eye", order=20),
    _finance(
        label=_("Invoices"),
        url_name="billing:finance_invoices",
        icon="receipt",
        order=30,
        match=("billing:finance_invoice",),
    ),
    _finance(label=_("Receivables"), url_name="billing:finance_receivables", icon="clock", order=40),
    _finance(label=_("Close a period"), url_name="billing:finance_closing", icon="history", order=50),
    _book(
        label=_("Ledger"),
        url_name="billing:finance_ledger",
        icon="book-open",
        order=60,
        match=("billing:finance_ledger",),
    ),
    _book(
        label=_("Statements"),
        url_name="billing:finance_statements",
        icon="wallet",
        order=70,
        match=("billing:finance_statement",),
    ),
)


def slots_fill() -> None:
    """Register everything. Safe to repeat."""
    navigation_register(*NAVIGATION)
    slot_register("listing.pricing", template="billing/slots/pricing.html", context=listing.pricing_context)
    slot_register("listing.actions", template="billing/slots/listing_actions.html", context=listing.actions_context)
    slot_register("catalog.card", template="billing/slots/card.html", context=listing.card_context)
    slot_register("consumer.home", template="billing/slots/consumer_home.html", context=homes.consumer_context)
    slot_register("provider.home", template="billing/slots/provider_home.html", context=homes.provider_context)
    slot_register("editor.tabs", template="billing/slots/editor_tabs.html", context=plans.tabs_context)
    slot_register(
        "editor.subscribers", template="billing/slots/subscribers.html", context=subscribers.subscribers_context
    )

"""Which rows of billing may a person see or act on? A stranger is told that there is no such object. Reads only.

``within`` narrows every answer to one organization: an organization's access token sees nothing else, finance included.
"""

from django.utils.translation import gettext as _

from billing.models import Invoice, Plan, PlanStatus, Price, ProviderStatement, Subscription
from billing.selectors.invoices import ISSUED
from billing.selectors.plans import plan_get
from marketplace.core.permissions import Action
from marketplace.errors import NotFound, NotPermitted
from marketplace.models import Organization, Person
from marketplace.selectors.accounts import entity_find, is_permitted, permission_require
from marketplace.selectors.catalog import catalog_get


def finance_is(person: Person, *, within: Organization | None = None) -> bool:
    """Return whether the caller acts for the platform's finance: by role, and not through an organization's token."""
    return bool(getattr(person, "is_platform_finance", False)) and within is None


def finance_require(person: Person, *, within: Organization | None = None) -> None:
    """Raise NotPermitted unless the caller acts for the platform's finance."""
    if not finance_is(person, within=within):
        raise NotPermitted(_("Only the platform's finance can do this."), code="finance_required")


def plan_find(*, person: Person, public_id: str, is_managing: bool = False, within: Organization | None = None) -> Plan:
    """Return a plan: a published one of a listed Api for everybody, any for those inside. Raises NotFound, NotPermitted."""
    plan = entity_find(Plan, Plan.objects.select_related("api__provider"), public_id)
    provider = plan.api.provider
    is_outside = within is not None and within.id != provider.id
    if is_managing:
        if is_outside:
            raise _not_found()
        permission_require(person=person, organization=provider, action="api.manage")
    elif is_outside or not is_permitted(person=person, organization=provider, action="api.view"):
        if plan.status != PlanStatus.PUBLISHED:
            raise _not_found()
        catalog_get(slug=plan.api.slug, person=person)
    return plan


def price_find(*, person: Person, public_id: str, within: Organization | None = None) -> Price:
    """Return a price of a plan that the person manages. Raises NotFound, NotPermitted."""
    price = entity_find(Price, Price.objects.select_related("plan"), public_id)
    plan_find(person=person, public_id=price.plan.public_id, is_managing=True, within=within)
    return price


def subscribe_action(plan: Plan) -> Action:
    """Return what a person must be allowed to do to subscribe: a free plan takes a developer, others bind the purse."""
    return "app.manage" if plan_get(plan_id=plan.id).is_free else "billing.manage"


def subscription_find(
    *, person: Person, public_id: str, action: Action = "billing.view", within: Organization | None = None
) -> Subscription:
    """Return a subscription of an organization where the person may do ``action``. Raises NotFound, NotPermitted."""
    rows = Subscription.objects.select_related("plan", "next_plan", "api__provider", "app", "organization", "grant")
    subscription = entity_find(Subscription, rows if within is None else rows.filter(organization=within), public_id)
    permission_require(person=person, organization=subscription.organization, action=action)
    return subscription


def invoice_find(*, person: Person, public_id: str, within: Organization | None = None) -> Invoice:
    """Return an invoice: finance sees all, a consumer its issued and void ones. Raises NotFound, NotPermitted."""
    rows = Invoice.objects.select_related("organization", "approved_by", "issued_by")
    if finance_is(person, within=within):
        return entity_find(Invoice, rows, public_id)
    rows = rows.filter(status__in=ISSUED)
    invoice = entity_find(Invoice, rows if within is None else rows.filter(organization=within), public_id)
    permission_require(person=person, organization=invoice.organization, action="invoice.view")
    return invoice


def statement_find(*, person: Person, public_id: str, within: Organization | None = None) -> ProviderStatement:
    """Return a statement: finance sees all, a provider its own, drafts of running months too. Raises NotFound, NotPermitted."""
    rows = ProviderStatement.objects.select_related("provider")
    if finance_is(person, within=within):
        return entity_find(ProviderStatement, rows, public_id)
    statement = entity_find(ProviderStatement, rows if within is None else rows.filter(provider=within), public_id)
    permission_require(person=person, organization=statement.provider, action="invoice.view")
    return statement


def _not_found() -> NotFound:
    return NotFound(_("There is no such object, or you may not see it."))

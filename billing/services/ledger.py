"""The single writer of ledger rows: turns a balanced Posting of billing.core.ledger into appended rows.

The database checks the zero sum again at COMMIT (migration 0002), by a road that shares no code with this one.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from billing.core.ledger import AccountRef, Claim, Posting, Share
from billing.errors import LedgerDisagrees
from billing.models import Invoice, LedgerAccount, LedgerEntry, LedgerTransaction


@transaction.atomic
def ledger_post(*, posting: Posting, reference: str, booked_at: datetime, description: str) -> LedgerTransaction:
    """Append a posting. ``reference``: the public id of what caused it. Booked once per (kind, reference).

    Safe to repeat: a second call returns the first transaction. Raises LedgerDisagrees when it says something else.
    """
    existing = _find(posting, reference)
    if existing is not None:
        return existing
    try:
        with transaction.atomic():
            booked = LedgerTransaction.objects.create(
                kind=posting.kind.value, reference=reference, booked_at=booked_at, description=description[:200]
            )
    except IntegrityError:
        again = _find(posting, reference)
        if again is None:
            raise
        return again
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            transaction=booked,
            account=_account(entry.account),
            currency=entry.account.currency,
            amount_minor=entry.amount_minor,
        )
        for entry in posting.entries
    )
    return booked


def invoice_claim(*, invoice: Invoice) -> Claim:
    """Return the invoice as the ledger sees it: the commission, and each provider's share, summed over its lines."""
    shares = invoice.lines.order_by("provider_id").values("provider_id").annotate(minor=Sum("provider_minor"))
    fee = invoice.lines.aggregate(minor=Sum("commission_minor"))["minor"] or 0
    return Claim(
        consumer_id=str(invoice.organization_id),
        currency=invoice.currency,
        total_minor=invoice.total_minor,
        fee_minor=int(fee),
        shares=tuple(Share(str(row["provider_id"]), int(row["minor"])) for row in shares),
    )


def ledger_audit() -> list[str]:
    """Sum the books by another road than the posting did. Returns what is wrong, in words; an empty list when all is well."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT transaction_id, currency, sum(amount_minor) FROM billing_ledgerentry "
            "GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0 LIMIT 20"
        )
        wrong = [f"transaction {row[0]} is off by {row[2]} {row[1]}" for row in cursor.fetchall()]
        cursor.execute(
            "SELECT i.number, i.total_minor, coalesce(sum(e.amount_minor), 0) FROM billing_invoice i "
            "LEFT JOIN billing_ledgertransaction t ON t.kind = 'invoice_issued' AND t.description = i.number "
            "LEFT JOIN billing_ledgerentry e ON e.transaction_id = t.id AND e.account_id IN "
            "(SELECT id FROM billing_ledgeraccount WHERE kind = 'receivable') "
            "WHERE i.status IN ('issued', 'void') GROUP BY i.id, i.number, i.total_minor "
            "HAVING i.total_minor <> coalesce(sum(e.amount_minor), 0) LIMIT 20"
        )
        wrong += [f"invoice {row[0]} claims {row[1]} and the books say {row[2]}" for row in cursor.fetchall()]
    return wrong


def _find(posting: Posting, reference: str) -> LedgerTransaction | None:
    booked = LedgerTransaction.objects.filter(kind=posting.kind.value, reference=reference).first()
    if booked is None:
        return None
    rows = booked.entries.select_related("account")
    stored = {
        (row.account.kind, str(row.account.organization_id or ""), row.currency, row.amount_minor) for row in rows
    }
    asked = {
        (entry.account.kind.value, entry.account.owner_id, entry.account.currency, entry.amount_minor)
        for entry in posting.entries
    }
    if stored != asked:
        words = {"kind": posting.kind.value, "reference": reference}
        raise LedgerDisagrees(_("%(kind)s of %(reference)s is booked already, with other entries.") % words)
    return booked


def _account(ref: AccountRef) -> LedgerAccount:
    owner = UUID(ref.owner_id) if ref.owner_id else None
    named: dict[str, Any] = {"kind": ref.kind.value, "organization_id": owner, "currency": ref.currency}
    return LedgerAccount.objects.get_or_create(**named)[0]

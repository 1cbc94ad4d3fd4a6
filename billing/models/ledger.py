"""The books: accounts, transactions and entries. Appended by services.ledger alone; triggers refuse everything else.

A deferred constraint trigger checks at COMMIT that the entries of each transaction sum to zero in each currency.
Positive entries are debits. Balances are sums over entries, never stored.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace.models import Organization
from marketplace.models.base import Entity


class AccountKind(models.TextChoices):
    """Who or what a balance belongs to."""

    RECEIVABLE = "receivable", _("Owed by a consumer")
    PAYABLE = "payable", _("Owed to a provider")
    COMMISSION = "commission", _("Commission earned")
    BANK = "bank", _("Bank")


class LedgerAccount(Entity):
    """One balance in one currency; receivables and payables belong to an organization, the others to the platform."""

    ID_PREFIX = "lac"

    kind = models.CharField(max_length=12, choices=AccountKind.choices)
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.PROTECT, related_name="ledger_accounts"
    )
    currency = models.CharField(max_length=3)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "organization", "currency"], nulls_distinct=False, name="ledger_account_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["receivable", "payable"], organization__isnull=False)
                | Q(kind__in=["commission", "bank"], organization=None),
                name="ledger_account_owner",
            ),
        ]


class LedgerTransaction(Entity):
    """A balanced set of entries booked at one moment for one reason; (kind, reference) is booked once."""

    ID_PREFIX = "ltx"

    kind = models.CharField(max_length=20, help_text="such as invoice_issued, invoice_voided, payment_settled")
    reference = models.CharField(max_length=64, help_text="public id of what caused it")
    booked_at = models.DateTimeField()
    description = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "reference"], name="ledger_transaction_once")]


class LedgerEntry(Entity):
    """One debit (positive) or credit (negative), in minor units."""

    ID_PREFIX = "len"

    transaction = models.ForeignKey(LedgerTransaction, on_delete=models.PROTECT, related_name="entries")
    account = models.ForeignKey(LedgerAccount, on_delete=models.PROTECT, related_name="entries")
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=~Q(amount_minor=0), name="ledger_entry_moves_something")]

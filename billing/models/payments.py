"""Money that came in: payments, and which invoices each of them settles. Today bank transfers recorded by finance.

Another processor (Stripe) adds a value to Processor and fills ``processor_reference``; the tables stay.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoices import Invoice
from marketplace.models import Organization, Person
from marketplace.models.base import Entity


class Processor(models.TextChoices):
    """Who collected the money."""

    MANUAL = "manual", _("Bank transfer")


class Payment(Entity):
    """Money received from a consumer. Recorded once, never edited; what no invoice takes stays as the payer's credit."""

    ID_PREFIX = "pay"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="payments")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="payments")
    processor = models.CharField(max_length=8, choices=Processor.choices, default=Processor.MANUAL)
    processor_reference = models.CharField(max_length=120, help_text="the text on the bank statement")
    currency = models.CharField(max_length=3)
    amount_minor = models.BigIntegerField()
    received_on = models.DateField()
    recorded_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.CharField(
        max_length=300, null=True, blank=True, unique=True, help_text="whose key, then the key"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_minor__gt=0), name="payment_is_positive")]
        indexes = [models.Index(fields=["organization", "-id"], name="payment_of_consumer")]


class PaymentAllocation(Entity):
    """The part of a payment that settles one invoice, in minor units. Appended."""

    ID_PREFIX = "pal"

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="allocations")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="allocations")
    amount_minor = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(amount_minor__gt=0), name="allocation_is_positive")]

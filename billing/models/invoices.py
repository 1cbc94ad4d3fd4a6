"""Claims: invoices with their lines and frozen documents, and the counters that number them without a gap.

Triggers refuse every change of an issued invoice but its payment status, its dispatch, and its becoming void.
"""

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.plans import Meter, Plan, Price
from billing.models.subscriptions import Subscription
from marketplace.models import Api, Organization, Person
from marketplace.models.base import Entity


class InvoiceStatus(models.TextChoices):
    """The life of the document; billing.core.invoice_states has the transitions."""

    DRAFT = "draft", _("Draft")
    IN_REVIEW = "in_review", _("In review")
    APPROVED = "approved", _("Approved")
    ISSUED = "issued", _("Issued")
    VOID = "void", _("Void")


class PaymentStatus(models.TextChoices):
    """The life of the debt; only an issued invoice has one that matters."""

    UNPAID = "unpaid", _("Unpaid")
    PAID = "paid", _("Paid")
    UNCOLLECTIBLE = "uncollectible", _("Uncollectible")


class NumberSeries(models.Model):
    """One counter of document numbers. Taken with a row lock in the transaction that issues: no gap, no double."""

    code = models.CharField(primary_key=True, max_length=20, help_text="such as INV-2026")
    last_number = models.PositiveBigIntegerField(default=0)


class Invoice(Entity):
    """A claim for one consumer, currency and period. Amounts are integer minor units of ``currency``."""

    ID_PREFIX = "inv"

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="invoices")
    status = models.CharField(max_length=10, choices=InvoiceStatus.choices, default=InvoiceStatus.DRAFT)
    payment_status = models.CharField(max_length=14, choices=PaymentStatus.choices, default=PaymentStatus.UNPAID)
    number = models.CharField(max_length=40, null=True, blank=True, unique=True)
    revision = models.PositiveIntegerField(default=1, help_text="counts how often the draft was computed")
    currency = models.CharField(max_length=3)
    language = models.CharField(max_length=12, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    seller = models.JSONField(default=dict, help_text="the issuing party as printed")
    buyer = models.JSONField(default=dict, help_text="the consumer as printed")
    subtotal_minor = models.BigIntegerField(default=0)
    total_minor = models.BigIntegerField(default=0)
    paid_minor = models.BigIntegerField(default=0)
    review_reasons = models.JSONField(default=list, blank=True)
    drafted_at = models.DateTimeField()
    submitted_at = models.DateTimeField(null=True, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    issued_at = models.DateTimeField(null=True, blank=True)
    issued_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    due_on = models.DateField(null=True, blank=True)
    pdf_sha256 = models.CharField(max_length=64, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    paid_at = models.DateTimeField(null=True, blank=True)
    voided_at = models.DateTimeField(null=True, blank=True)
    voided_by = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    void_reason = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "currency", "period_start", "period_end"],
                condition=Q(status="draft"),
                name="invoice_draft_once",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["issued", "void"], number__isnull=False, issued_at__isnull=False)
                | Q(status__in=["draft", "in_review", "approved"], number=None, issued_at=None),
                name="invoice_number_means_issued",
            ),
            models.CheckConstraint(condition=Q(paid_minor__gte=0), name="invoice_paid_not_negative"),
            models.CheckConstraint(condition=Q(period_start__lt=F("period_end")), name="invoice_period_is_forward"),
        ]
        indexes = [
            models.Index(fields=["organization", "-id"], name="invoice_of_consumer"),
            models.Index(fields=["status", "-id"], name="invoice_by_status"),
        ]

    def __str__(self) -> str:
        return self.number or self.public_id

    @property
    def due_minor(self) -> int:
        """What is still owed, in minor units."""
        return self.total_minor - self.paid_minor


class LineKind(models.TextChoices):
    """Why a line exists."""

    FEE = "fee", _("Fee")
    USAGE = "usage", _("Usage")
    LATE_USAGE = "late_usage", _("Usage of an earlier period")


class InvoiceLine(Entity):
    """One amount with its quantity, price and explanation; commission and provider share sum to the amount."""

    ID_PREFIX = "inl"

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    kind = models.CharField(max_length=10, choices=LineKind.choices)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="invoice_lines")
    provider = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="+")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="+")
    meter = models.ForeignKey(Meter, null=True, on_delete=models.PROTECT, related_name="+")
    grant_id = models.UUIDField(null=True, help_text="whose calls these are; a plain id, as in UsageTally")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    group = models.CharField(max_length=200, help_text="the heading it stands under: Api and plan, as named then")
    description = models.CharField(max_length=300)
    quantity = models.DecimalField(max_digits=24, decimal_places=6)
    unit_price = models.CharField(max_length=120, blank=True, help_text="as printed; empty when tiers explain it")
    amount_minor = models.BigIntegerField()
    commission_rate = models.DecimalField(max_digits=7, decimal_places=6)
    commission_minor = models.BigIntegerField()
    provider_minor = models.BigIntegerField()
    explanation = models.JSONField(default=dict, encoder=DjangoJSONEncoder)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position_once"),
            models.CheckConstraint(
                condition=Q(amount_minor=F("commission_minor") + F("provider_minor")),
                name="invoice_line_shares_sum_up",
            ),
        ]
        ordering = ["position"]


class InvoiceDocument(models.Model):
    """The printed form of an issued invoice, byte for byte as it was sent. Inserted once."""

    invoice = models.OneToOneField(Invoice, primary_key=True, on_delete=models.PROTECT, related_name="document")
    pdf = models.BinaryField()
    sha256 = models.CharField(max_length=64)

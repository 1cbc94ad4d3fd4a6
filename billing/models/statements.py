"""What a provider earned in a month: gross, commission and share, by Api and invoice. Frozen once issued."""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from billing.models.invoices import Invoice
from marketplace.models import Api, Organization
from marketplace.models.base import Entity


class StatementStatus(models.TextChoices):
    """A draft is recomputed at will; an issued statement is frozen."""

    DRAFT = "draft", _("Draft")
    ISSUED = "issued", _("Issued")


class ProviderStatement(Entity):
    """One provider, calendar month (of ``time_zone``) and currency; amounts in minor units."""

    ID_PREFIX = "pst"

    provider = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="statements")
    month = models.DateField(help_text="its first day")
    currency = models.CharField(max_length=3)
    time_zone = models.CharField(max_length=64)
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    status = models.CharField(max_length=8, choices=StatementStatus.choices, default=StatementStatus.DRAFT)
    number = models.CharField(max_length=40, null=True, blank=True, unique=True)
    gross_minor = models.BigIntegerField(default=0)
    commission_minor = models.BigIntegerField(default=0)
    share_minor = models.BigIntegerField(default=0)
    party = models.JSONField(default=dict, help_text="the provider as printed")
    computed_at = models.DateTimeField()
    issued_at = models.DateTimeField(null=True, blank=True)
    pdf_sha256 = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["provider", "month", "currency"], name="statement_once"),
            models.CheckConstraint(
                condition=Q(gross_minor=F("commission_minor") + F("share_minor")), name="statement_sums_up"
            ),
        ]


class ProviderStatementLine(Entity):
    """One Api on one invoice: negative when the invoice was voided in this month."""

    ID_PREFIX = "psl"

    statement = models.ForeignKey(ProviderStatement, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="+")
    api = models.ForeignKey(Api, on_delete=models.PROTECT, related_name="+")
    api_name = models.CharField(max_length=80, help_text="as named when the line was computed")
    is_reversal = models.BooleanField(default=False)
    gross_minor = models.BigIntegerField()
    commission_minor = models.BigIntegerField()
    share_minor = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["statement", "invoice", "api", "is_reversal"], name="statement_line_once"),
            models.CheckConstraint(
                condition=Q(gross_minor=F("commission_minor") + F("share_minor")), name="statement_line_sums_up"
            ),
        ]
        ordering = ["position"]


class StatementDocument(models.Model):
    """The printed form of an issued statement, byte for byte. Inserted once."""

    statement = models.OneToOneField(
        ProviderStatement, primary_key=True, on_delete=models.PROTECT, related_name="document"
    )
    pdf = models.BinaryField()
    sha256 = models.CharField(max_length=64)

"""An invoice's two axes, kept apart: what the document is, and whether it has been paid. Two tables, no behaviour."""

from enum import StrEnum
from typing import overload

from billing.core.states import StateTable


class InvoiceStatus(StrEnum):
    """The document. ISSUED has a number and is frozen; VOID keeps both."""

    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    ISSUED = "issued"
    VOID = "void"


class InvoiceTrigger(StrEnum):
    """What people and tasks do with a document."""

    SUBMIT = "submit"
    RETURN = "return"
    APPROVE = "approve"
    ISSUE = "issue"
    VOID = "void"


class PaymentStatus(StrEnum):
    """The claim. A claim given up may still be paid."""

    UNPAID = "unpaid"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"


class PaymentTrigger(StrEnum):
    """What happens to the claim of an issued invoice."""

    SETTLE = "settle"
    GIVE_UP = "give_up"


DOCUMENT_TABLE: StateTable[InvoiceStatus, InvoiceTrigger] = StateTable(
    "invoice",
    {
        (InvoiceStatus.DRAFT, InvoiceTrigger.SUBMIT): InvoiceStatus.IN_REVIEW,
        (InvoiceStatus.IN_REVIEW, InvoiceTrigger.APPROVE): InvoiceStatus.APPROVED,
        (InvoiceStatus.IN_REVIEW, InvoiceTrigger.RETURN): InvoiceStatus.DRAFT,
        (InvoiceStatus.APPROVED, InvoiceTrigger.ISSUE): InvoiceStatus.ISSUED,
        (InvoiceStatus.APPROVED, InvoiceTrigger.RETURN): InvoiceStatus.DRAFT,
        (InvoiceStatus.ISSUED, InvoiceTrigger.VOID): InvoiceStatus.VOID,
    },
)

PAYMENT_TABLE: StateTable[PaymentStatus, PaymentTrigger] = StateTable(
    "payment",
    {
        (PaymentStatus.UNPAID, PaymentTrigger.SETTLE): PaymentStatus.PAID,
        (PaymentStatus.UNPAID, PaymentTrigger.GIVE_UP): PaymentStatus.UNCOLLECTIBLE,
        (PaymentStatus.UNCOLLECTIBLE, PaymentTrigger.SETTLE): PaymentStatus.PAID,
    },
)


@overload
def advance(status: InvoiceStatus, trigger: InvoiceTrigger) -> InvoiceStatus: ...
@overload
def advance(status: PaymentStatus, trigger: PaymentTrigger) -> PaymentStatus: ...
def advance(
    status: InvoiceStatus | PaymentStatus, trigger: InvoiceTrigger | PaymentTrigger
) -> InvoiceStatus | PaymentStatus:
    """Return the next status of either axis. Raises TransitionRefused; TypeError when status and trigger mix the axes."""
    if isinstance(status, InvoiceStatus) and isinstance(trigger, InvoiceTrigger):
        return DOCUMENT_TABLE.advance(status, trigger)
    if isinstance(status, PaymentStatus) and isinstance(trigger, PaymentTrigger):
        return PAYMENT_TABLE.advance(status, trigger)
    raise TypeError(
        "a document status takes an InvoiceTrigger, a payment status a PaymentTrigger; wrap stored text first"
    )

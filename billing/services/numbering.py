"""Document numbers without a gap: taken from a locked counter row in the very transaction that issues the document."""

from datetime import datetime

from django.db import transaction

from billing.core.numbering import number_format
from billing.models import NumberSeries

INVOICE_SERIES = "INV"
STATEMENT_SERIES = "STM"


def number_take(*, series: str, issued_at: datetime) -> str:
    """Return the next number of the series in the year of ``issued_at`` (UTC), such as ``INV-2026-000017``.

    Must run inside the transaction that issues: when that rolls back, so does the counter. Others wait for its end.
    """
    assert transaction.get_connection().in_atomic_block, "a number is taken in the transaction that uses it"
    code = f"{series}-{issued_at.year}"
    NumberSeries.objects.bulk_create([NumberSeries(code=code)], ignore_conflicts=True)
    counter = NumberSeries.objects.select_for_update().get(code=code)
    counter.last_number += 1
    counter.save(update_fields=["last_number"])
    return number_format(series=series, year=issued_at.year, sequence=counter.last_number)

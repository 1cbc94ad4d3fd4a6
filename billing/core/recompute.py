"""Compute an invoice's lines again, offline: ``python -m billing.core.recompute invoice.json``.

Needs Python alone: no database, no settings, no network. The file is what the portal offers for download at an invoice:
``{"number", "currency", "total_minor", "lines": [{"amount_minor", "explanation": {…}, "hours": [["2026-…Z", 12], …]}]}``.
``hours`` is optional; where it is given, its quantities must sum to the line's quantity.
"""

import json
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from billing.core.errors import CoreError, ExplanationInvalid
from billing.core.money import Money
from billing.core.pricing.parts import quantity_read
from billing.core.rating import rating_recompute

FILE_BYTES_MAX = 64 * 1024 * 1024
EXIT_SAME, EXIT_DIFFERENT, EXIT_UNREADABLE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line computed again. ``fault`` is empty when what the invoice says is what comes out."""

    name: str
    stated_minor: int
    computed_minor: int
    fault: str


def invoice_recompute(invoice: dict[str, Any]) -> list[Finding]:
    """Compute every line and the total again. Raises ExplanationInvalid when the file is not an invoice's."""
    lines, currency = invoice.get("lines"), invoice.get("currency")
    if not isinstance(lines, list) or not isinstance(currency, str):
        raise ExplanationInvalid("the file has no currency or no lines; download the invoice's evidence again")
    findings = [_line_recompute(line, currency) for line in lines]
    total = sum(finding.computed_minor for finding in findings)
    stated = _whole(invoice, "total_minor")
    return [*findings, Finding("total", stated, total, "" if stated == total else "the lines sum to another total")]


def _line_recompute(line: Any, currency: str) -> Finding:
    if not isinstance(line, dict) or not isinstance(line.get("explanation"), dict):
        raise ExplanationInvalid("a line has no explanation")
    explanation = line["explanation"]
    stated, computed = _whole(line, "amount_minor"), rating_recompute(explanation)
    faults = []
    if stated != computed:
        faults.append("price and quantity give another amount")
    if explanation.get("currency") != currency:
        faults.append("the line is in another currency than the invoice")
    if "hours" in line and _hours_sum(line["hours"]) != _quantity(explanation):
        faults.append("the hours sum to another quantity")
    return Finding(str(explanation.get("name", "")), stated, computed, ", ".join(faults))


def _quantity(explanation: dict[str, Any]) -> Decimal:
    """What the line bills: all of it, or for usage that came late the difference."""
    return quantity_read(str(explanation["quantity"])) - quantity_read(str(explanation.get("quantity_before", 0)))


def _hours_sum(hours: Any) -> Decimal:
    try:
        return sum((Decimal(str(quantity)) for _, quantity in hours), Decimal(0))
    except (TypeError, ValueError, ArithmeticError) as problem:
        raise ExplanationInvalid(f"hours are a list of [hour, quantity]: {problem}") from problem


def _whole(value: dict[str, Any], name: str) -> int:
    number = value.get(name)
    if type(number) is not int:
        raise ExplanationInvalid(f"{name} is missing or not a whole number")
    return number


def main(arguments: list[str], out: TextIO, err: TextIO) -> int:
    """Print one row a line. Returns 0 when all agree, 1 when something differs, 2 when the file cannot be read."""
    if len(arguments) != 1:
        print("usage: python -m billing.core.recompute invoice.json", file=err)
        return EXIT_UNREADABLE
    try:
        path = Path(arguments[0])
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ExplanationInvalid(f"the file is larger than {FILE_BYTES_MAX} bytes")
        invoice = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        if not isinstance(invoice, dict):
            raise ExplanationInvalid("the file holds no invoice")
        findings = invoice_recompute(invoice)
        for finding in findings:
            stated, computed = (Money(m, invoice["currency"]) for m in (finding.stated_minor, finding.computed_minor))
            print(f"{finding.fault or 'ok'}: {finding.name}: stated {stated}, computed {computed}", file=out)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, CoreError) as problem:
        print(f"cannot recompute: {problem}", file=err)
        return EXIT_UNREADABLE
    return EXIT_DIFFERENT if any(finding.fault for finding in findings) else EXIT_SAME


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout, sys.stderr))

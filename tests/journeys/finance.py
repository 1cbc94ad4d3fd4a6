"""Part 5 of the story: the month is closed, finance reviews, issues and settles; the consumer and the provider see theirs."""

import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

from pypdf import PdfReader

from tests import servers
from tests.journeys.consumer import ADDRESS, ORGANIZATION
from tests.journeys.provider import PAID_INCLUDED, TIERS
from tests.journeys.town import Town
from tests.journeys.windows import Window
from tests.mails import mails_to

REFERENCE = "NEWCOMER 0001"
AUDITED_FILES_MAX = 8
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Issued:
    """The invoice as the story knows it: address below /finance/, number, total in text, public id."""

    path: str
    public_id: str
    number: str
    total: str


def overage_expected(calls: int, *, since: datetime, until: datetime) -> str:
    """What the paid plan's calls cost beyond the included ones, worked out here by hand and rounded half up, once.

    The period is the rest of a month, and has that share of the included calls, rounded up.
    """
    share = Fraction((until - since) // SECOND, (until - since.replace(day=1)) // SECOND)
    left, due = calls - ceil(PAID_INCLUDED * share), Decimal(0)
    for up_to, unit_amount in TIERS:
        part = left if up_to is None else min(left, up_to)
        due += part * Decimal(unit_amount)
        left -= part
    return str(due.quantize(Decimal("0.01"), ROUND_HALF_UP))


def period_close(town: Town, *, fee: str, calls: int) -> None:
    """As an operator types it: a Celery worker rebuilds the usage and drafts one invoice."""
    month = datetime.now(UTC).strftime("%Y-%m")
    closed = json.loads(town.manage("period_close", "--month", month, "--now", "--json"))
    drafted = [row for row in closed if row["invoice"]]
    assert [row["fault"] for row in closed if row["fault"]] == []
    assert len(drafted) == 1, closed
    since, until = (datetime.fromisoformat(drafted[0][name]) for name in ("period_start", "period_end"))
    overage = overage_expected(calls, since=since, until=until)
    assert Decimal(drafted[0]["total"]) == Decimal(fee) + Decimal(overage), drafted


def invoice_review(window: Window, *, calls: int, request_ids: list[str]) -> None:
    """Open the draft from the queue, its line of calls, its hours, and the very calls, every one of which we made."""
    window.go("/finance/")
    window.click("Review queue", within="main")
    window.click(ORGANIZATION, within="main")
    window.sees("Submit for review")
    draft = window.page.url
    window.click("Calls", within=".table-lines")
    window.sees("How the amount came about")
    hours = window.page.locator(".table-hours tbody tr")
    counted = [int(text.replace(",", "")) for text in hours.locator("td.num").all_inner_texts()]
    assert sum(counted) == calls
    links = [link.get_attribute("href") for link in hours.locator("a").all()]
    listed = "".join(_hour_text(window, link) for link in links).lower()
    assert [one for one in request_ids if one.lower() not in listed] == []
    window.page.goto(draft)


def _hour_text(window: Window, path: str) -> str:
    """The calls of an hour, all pages of it."""
    window.go(path)
    shown = window.sees("Request id")
    while window.page.get_by_role("link", name="Next page").count():
        window.click("Next page")
        window.page.wait_for_load_state()
        shown += window.sees("Request id")
    return shown


def invoice_issue(window: Window) -> Issued:
    """Submit, approve, look at what issuing does, issue."""
    window.click("Submit for review", role="button")
    window.click("Approve", role="button")
    window.sees("Approved. It can be issued now.")
    window.click("Issue…")
    window.sees("agree to the unit")
    window.click("Issue the invoice", role="button")
    window.sees("Issued as")
    number = window.page.locator("h1").inner_text()
    public_id = window.page.url.rstrip("/").rsplit("/", 1)[-1]
    tile = window.page.locator(".tile", has=window.page.get_by_text("Total", exact=True)).first
    total = re.sub(r"[^0-9.]", "", tile.locator("dd").first.inner_text())
    assert number in pdf_text(window.download("PDF"))
    return Issued(window.page.url.removeprefix(window.url), public_id, number, total)


def invoice_mailed(town: Town, issued: Issued) -> None:
    """The consumer's mail with the PDF, sent by the Celery worker."""
    (mail,) = town.wait(
        "issued to mailed",
        lambda: [one for one in mails_to(town.mail, ADDRESS) if issued.number in str(one["Subject"])],
    )
    (attached,) = mail.iter_attachments()
    assert attached.get_filename() == f"{issued.number}.pdf"
    assert issued.number in pdf_text(attached.get_content())


def transfer_record(window: Window, issued: Issued) -> None:
    """The whole sum arrives: the invoice is paid, and the books still sum to zero."""
    window.go(issued.path)
    window.fill(amount=issued.total, reference=REFERENCE)
    window.click("Record the transfer", role="button")
    window.sees("The invoice is paid in full")
    assert "Paid" in window.page.locator(".page-title").first.inner_text()
    window.go("/finance/ledger/")
    assert "Does not sum to zero" not in window.text()
    window.sees("Sums to zero")
    window.click("Verify", role="button")
    window.sees("Verified: every transaction sums to zero")


def consumer_sees(window: Window, slug: str, issued: Issued) -> dict[str, Any]:
    """The consumer's invoice with its PDF, and the evidence file of the REST API."""
    window.go(f"/o/{slug}/invoices/")
    window.click(issued.number, within="main", exact=True)
    window.sees("Paid")
    assert issued.number in pdf_text(window.download("PDF"))
    evidence: dict[str, Any] = json.loads(window.download("Evidence"))
    assert evidence["number"] == issued.number
    return evidence


def evidence_recompute(town: Town, evidence: dict[str, Any], folder: Path) -> None:
    """The offline tool agrees on every line."""
    path = folder / "invoice.json"
    path.write_text(json.dumps(evidence))
    said = town.python("-m", "billing.core.recompute", str(path)).splitlines()
    assert len(said) == len(evidence["lines"]) + 1
    assert all(line.startswith("ok: ") for line in said), said


def journal_audit(town: Town, *, request_ids: list[str]) -> None:
    """The commands of docs/journal.md, typed as they stand there, over all evidence: seals hold, our calls are listed."""
    written = (servers.ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
    verify, show = re.findall(r'^ +python -c "(.+)" FILE\.seg\.gz$', written, flags=re.MULTILINE)
    files = sorted(Path(town.environment["TOLLGATE_EVIDENCE_DIR"]).glob("*/*/*.seg.gz"))
    assert files
    digest, sealed = town.python("-c", verify, str(files[0])).split()
    assert digest == sealed
    listed = "".join(town.python("-c", show, str(file)) for file in files[-AUDITED_FILES_MAX:]).lower()
    assert any(one.lower() in listed for one in request_ids)


def statement_prepare(window: Window) -> None:
    """Finance has the month's statements computed."""
    window.go("/finance/statements/")
    window.click("Prepare the month", role="button")
    window.sees("Prepared: 1 statements.")


def statement_shows(window: Window, slug: str, issued: Issued) -> None:
    """The provider's earnings and statement: what was invoiced less the platform's fee is the share."""
    window.go(f"/o/{slug}/provider/earnings/")
    window.sees(issued.number)
    tiles = window.page.locator(".tile-row").first.locator("dd").all_inner_texts()
    gross, commission, share = (Decimal(re.sub(r"[^0-9.]", "", text)) for text in tiles)
    assert gross == Decimal(issued.total)
    assert gross - commission == share > 0
    window.click(datetime.now(UTC).strftime("%B %Y"), within="table .row-link >> xpath=..", exact=True)
    window.sees("Provider's share")
    assert issued.number in window.text()
    assert issued.number in pdf_text(window.download("PDF"))


def pdf_text(content: bytes) -> str:
    """The text of a PDF."""
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages)

"""billing.documents: every word is in the PDF, the bytes never change, and no text can become markup."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from billing.core.errors import MoneyInvalid
from billing.core.pricing import TEXTS, PriceKind, PriceSpec
from billing.documents import DocumentInvalid, DocumentLine, Party, StatementLine, invoice_pdf, statement_pdf
from billing.documents.coverage import FONTS, MISSING_GLYPH, is_covered, text_printable
from billing.documents.messages import MESSAGES, dates_show, message, number_show
from tests.billing.documents.examples import BOB, ISSUED_AT, invoice, plan_lines, statement

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = [
    '#panic("boom")',
    '#import "/etc/passwd": *',
    "] #set page(width: 1pt) [",
    "$x^2$ *bold* _it_ `raw` @label <label> = heading",
    "// comment /* block */ \\ \\u{41} ~ -- ---",
    "{page} {pages} {date} {{}} %s",
    '"; }); <script>alert(1)</script>',
    "https://example.test/?a=b#c",
]


def pages_of(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]


def text_of(pdf: bytes) -> str:
    """All text without spaces, since where a line wraps is the layout's business."""
    return "".join("".join(pages_of(pdf)).replace("\u200b", "").split())


def assert_shows(pdf: bytes, *texts: str) -> None:
    text = text_of(pdf)
    for wanted in texts:
        assert "".join(wanted.split()) in text, wanted


def test_an_english_invoice_shows_everything_it_was_given() -> None:
    assert_shows(
        invoice_pdf(invoice()),
        *("Invoice", "INV-2026-000017", "1 November 2026", "15 November 2026", "1 – 31 October 2026"),
        *(
            "Bob's Weather Widgets Ltd",
            "London WC2E 9LH",
            "Tollgate Marketplace GmbH",
            "Torstraße 12",
            "DE 123 456 789",
        ),
        *("Weather API, Pro", "Monthly fee", "49.00", "API calls", "1,234,567", "USD 370.14"),
        *("10,000 of 10,000 units included", "Units 10,001 to 110,000", "0.0004", "Units from 110,001 on", "281.14175"),
        *("How to pay", "DE89 3704 0044 0532 0130 00", "Thank you.", "Page 1 of 1"),
    )


def test_a_chinese_invoice_shows_both_characters_of_its_title_and_every_label() -> None:
    """Another renderer set-up dropped one glyph of 发票 without a word."""
    document = invoice(
        plan_lines("全国天气预报接口，专业版", 1_234_567, fee="月费", usage="接口调用"),
        language="zh-hans",
        buyer=Party("喆霖（北京）数据科技股份有限公司", "北京市海淀区中关村大街 27 号", "中国", "91110108MA00000000"),
        payment=(("开户行", "招商银行上海分行"),),
        notes=("感谢您的使用。",),
    )
    keys = ["invoice", "number", "issued_on", "due_on", "period", "bill_to", "from", "amount_due", "description"]
    keys += ["quantity", "unit_price", "amount", "total", "payment", "reference", "notes", "tax_id"]
    assert_shows(
        invoice_pdf(document),
        *(message(key, "zh") for key in keys),
        *("2026年10月1日至2026年10月31日", "请于2026年11月15日前支付", "第1页，共1页", "第110,001个单位起"),
        *(
            "喆霖（北京）数据科技股份有限公司",
            "全国天气预报接口，专业版",
            "接口调用",
            "招商银行上海分行",
            "感谢您的使用。",
        ),
    )


def test_packages_are_counted_on_the_invoice_and_no_line_multiplies_calls_by_the_price_of_a_package() -> None:
    spec = PriceSpec(PriceKind.PACKAGE, Decimal(5), package_size=1_000)
    line = plan_lines("Weather API, Pro", 1_500, spec=spec)[1]
    assert (line.quantity, line.unit_price, line.amount_minor) == (1_500, None, 1_000)
    assert_shows(invoice_pdf(invoice([line])), "1,500", "2 packages of 1,000 units", "5.00", "10.00")


@pytest.mark.parametrize(
    ("language", "shows"),
    [
        ("en", ["Provider statement", "Platform fee", "Your share", "Voided", "Subtotal"]),
        ("zh", ["服务商对账单", "平台服务费", "您的分成", "作废冲回", "小计"]),
    ],
)
def test_a_statement_shows_lines_subtotals_and_the_share(language: str, shows: list[str]) -> None:
    pdf = statement_pdf(statement(language=language))
    assert_shows(pdf, *shows, "PST-2026-000003", "Alice Skies SARL", "INV-2026-000018", "-1.70", "USD 124.98", "147.03")
    assert_shows(pdf, "83.33")  # the subtotal of Weather API: 85.03 - 1.70


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_document_gives_the_same_bytes_in_another_process_and_zone(language: str) -> None:
    here = [invoice_pdf(invoice(language=language)), statement_pdf(statement(language=language))]
    code = (
        "import sys; from billing.documents import invoice_pdf, statement_pdf;"
        "from tests.billing.documents.examples import invoice, statement;"
        f"sys.stdout.buffer.write(invoice_pdf(invoice(language={language!r}))"
        f" + statement_pdf(statement(language={language!r})))"
    )
    environment = {"TZ": "America/New_York", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    there = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert there.stdout == b"".join(here)


def test_the_time_of_issue_is_the_creation_date_whatever_zone_it_is_written_in() -> None:
    pdf = invoice_pdf(invoice())
    metadata = PdfReader(io.BytesIO(pdf)).metadata
    assert metadata is not None
    assert metadata.creation_date == ISSUED_AT
    assert metadata.title == "Invoice INV-2026-000017"
    elsewhere = ISSUED_AT.astimezone(timezone(timedelta(hours=8)))
    assert invoice_pdf(invoice(issued_at=elsewhere)) == pdf


def test_a_changed_amount_changes_the_bytes() -> None:
    assert invoice_pdf(invoice()) != invoice_pdf(invoice(plan_lines("Weather API, Pro", 1_234_568 + 40)))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_printed_as_it_is_and_never_read_as_markup(text: str) -> None:
    line = DocumentLine(text, Decimal(1), 100, Decimal(1), group=text)
    document = invoice(
        [line], buyer=Party(text, text, text, text, text), notes=(text,), payment=((text, text),), number=text
    )
    shown = text_of(invoice_pdf(document))
    assert shown.count("".join(text.split())) >= 9
    assert_shows(statement_pdf(statement([StatementLine(text, text, date(2026, 1, 1), 1, 0, 1)])), text)


def test_long_lists_flow_over_pages_with_headers_and_page_numbers() -> None:
    lines = [line for number in range(60) for line in plan_lines(f"API {number}, Pro", number * 30_000)]
    pages = pages_of(invoice_pdf(invoice(lines)))
    assert len(pages) > 8
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page and "INV-2026-000017" in page
    assert all("Description" in page and "Unit price" in page for page in pages[:-1])


def test_long_names_wrap_and_lose_no_character() -> None:
    unbroken, chinese, spaced = "W" * 300, "超长中文名称" * 40, "A very long company name " * 12
    line = DocumentLine(unbroken, Decimal(10) ** 15, 123_456_789_012, group=chinese)
    pdf = invoice_pdf(invoice([line], buyer=Party(spaced, unbroken)))
    shown = text_of(pdf)
    assert shown.count("W") >= 600 and chinese in shown and "".join(spaced.split()) in shown
    rows = [row.replace("\u200b", "") for page in pages_of(pdf) for row in page.splitlines()]
    assert max(row.count("W") for row in rows) < 60  # the page is 170 mm wide; no row runs over its column


def test_a_price_is_shown_with_all_of_its_twelve_places() -> None:
    line = DocumentLine("Requests", Decimal(7_000_001), 0, Decimal("0.000000000123"))
    assert_shows(invoice_pdf(invoice([line])), "0.000000000123", "7,000,001")


def test_a_shortened_period_is_named_on_its_line() -> None:
    line = DocumentLine(
        "Monthly fee", Decimal(1), 2_687, Decimal(49), "", date(2026, 10, 15), date(2026, 10, 31), proration="17/31"
    )
    assert_shows(invoice_pdf(invoice([line])), "15 – 31 October 2026", "17/31 of the full period")


def test_an_itemised_line_shows_no_single_unit_price_that_would_not_multiply_out() -> None:
    fee, calls = plan_lines("Weather API", 50_000)
    assert calls.unit_price is None and calls.amount_minor == 1_600
    calls = replace(calls, unit_price=Decimal("0.0004"))  # as lines of before say
    text = text_of(invoice_pdf(invoice([calls])))
    assert text.count("0.0004") == 1
    assert fee.unit_price == 49


def test_a_document_without_a_number_says_that_it_is_a_draft() -> None:
    assert_shows(invoice_pdf(invoice(number="")), "Draft", "It is not an invoice")
    assert "Draft" not in text_of(invoice_pdf(invoice()))


def test_a_document_without_lines_says_so() -> None:
    assert_shows(invoice_pdf(invoice([])), "Nothing was billed in this period.", "USD 0.00")


def test_currencies_without_or_with_three_places_print_theirs() -> None:
    assert_shows(
        invoice_pdf(invoice([DocumentLine("x", Decimal(1), 1_234, Decimal(1_234))], currency="JPY")), "JPY 1,234"
    )
    kwd = invoice([DocumentLine("x", Decimal(1), 1_234, Decimal("1.234"))], currency="KWD")
    assert_shows(invoice_pdf(kwd), "KWD 1.234")


def test_every_character_that_the_fonts_claim_is_really_printed() -> None:
    ranges = json.loads((FONTS / "coverage.json").read_text())["text"]
    characters = "".join(chr(point) for first, last in ranges for point in range(first, last + 1))
    assert len(characters) > 35_000
    notes = tuple(characters[place : place + 3_900] for place in range(0, len(characters), 3_900))
    assert len(invoice_pdf(invoice([], notes=notes))) > 1_000_000  # PDF/A-2u refuses a character without a glyph


def test_every_message_and_every_rating_text_is_in_both_languages_and_in_the_fonts() -> None:
    ranges = json.loads((FONTS / "coverage.json").read_text())["labels"]
    for english, chinese in MESSAGES.values():
        assert english and chinese
        for character in english + chinese:
            assert is_covered(character), character
            assert any(first <= ord(character) <= last for first, last in ranges), (
                f"cut the bold face again: {character}"
            )
    assert {f"part_{key}" for key in TEXTS} <= set(MESSAGES)


def test_what_the_fonts_cannot_show_is_a_visible_box_and_what_can_only_deceive_is_gone() -> None:
    assert text_printable("a\u0e01b") == f"a{MISSING_GLYPH}b"
    assert text_printable("pay\u202e\u200b\x00\ud800 Bob") == "pay Bob"
    assert text_printable("e\u0301\r\nx\ty") == "é\nx y"
    bob = replace(BOB, name="ไทย \u202e Bob 🛰")
    assert_shows(invoice_pdf(invoice(buyer=bob)), f"{MISSING_GLYPH * 3} Bob {MISSING_GLYPH}")


@pytest.mark.parametrize(
    "change",
    [{"total_minor": 1}, {"issued_at": datetime(2026, 1, 1)}, {"lines": (DocumentLine("x", Decimal(1), 0),) * 5_001}],
)
def test_a_document_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid):
        invoice(**change)


def test_a_statement_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(DocumentInvalid, match="totals"):
        statement(share_minor=1)
    with pytest.raises(DocumentInvalid, match="gross"):
        statement([StatementLine("Weather API", "INV-1", date(2026, 1, 1), 10, 1, 8)])
    with pytest.raises(MoneyInvalid):
        statement(currency="XXX")


def test_a_text_beyond_the_limit_is_refused() -> None:
    with pytest.raises(DocumentInvalid, match="4000 characters"):
        invoice_pdf(invoice(notes=("x" * 4_001,)))


@pytest.mark.parametrize(
    ("first_on", "last_on", "shown"),
    [
        (date(2026, 10, 1), date(2026, 10, 31), "1 – 31 October 2026"),
        (date(2026, 10, 15), date(2026, 11, 14), "15 October – 14 November 2026"),
        (date(2026, 12, 15), date(2027, 1, 14), "15 December 2026 – 14 January 2027"),
        (date(2026, 10, 1), date(2026, 10, 1), "1 October 2026"),
    ],
)
def test_ranges_of_days_are_written_once_where_they_agree(first_on: date, last_on: date, shown: str) -> None:
    assert dates_show(first_on, last_on, "en") == shown


def test_thousands_are_parted_in_numbers_only() -> None:
    assert [number_show(text) for text in ("1234567.125", "-1000", "12", "n/a", "")] == [
        *("1,234,567.125", "-1,000", "12", "n/a", "")
    ]


def test_the_fonts_and_their_licences_are_in_the_repository_and_not_too_heavy() -> None:
    assert sum(path.stat().st_size for path in FONTS.iterdir()) < 12 * 1024 * 1024
    assert all("Open Font License" in (FONTS / f"{name}.LICENSE").read_text() for name in ("Inter", "NotoSansSC"))
    assert ISSUED_AT.tzinfo is UTC

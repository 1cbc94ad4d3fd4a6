"""Every word that documents print, in English and Simplified Chinese, and how both write dates. One table.

Apart from gettext on purpose: an issued document must not change when a catalogue does, and its language is the
buyer's, not the reader's.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

MESSAGES: dict[str, tuple[str, str]] = {
    "invoice": ("Invoice", "发票"),
    "draft": ("Draft", "草稿"),
    "draft_note": ("This is a draft. It is not an invoice.", "此为草稿，并非正式发票。"),
    "statement": ("Provider statement", "服务商对账单"),
    "number": ("Number", "编号"),
    "issued_on": ("Issued", "开具日期"),
    "due_on": ("Due", "付款期限"),
    "period": ("Period", "账期"),
    "currency": ("Currency", "币种"),
    "from": ("From", "开具方"),
    "bill_to": ("Bill to", "购买方"),
    "statement_by": ("Issued by", "出具方"),
    "statement_for": ("For", "服务商"),
    "tax_id": ("Tax ID", "税号"),
    "amount_due": ("Amount due", "应付金额"),
    "share_due": ("Your share", "您的分成"),
    "by_date": ("by {date}", "请于{date}前支付"),
    "description": ("Description", "项目"),
    "quantity": ("Quantity", "数量"),
    "unit_price": ("Unit price", "单价"),
    "amount": ("Amount", "金额"),
    "subtotal": ("Subtotal", "小计"),
    "total": ("Total", "合计"),
    "payment": ("How to pay", "付款方式"),
    "reference": ("Payment reference", "付款附言"),
    "notes": ("Notes", "备注"),
    "page": ("Page {page} of {pages}", "第 {page} 页，共 {pages} 页"),
    "api": ("API", "API"),
    "statement_invoice": ("Invoice", "发票编号"),
    "gross": ("Gross", "总额"),
    "fee": ("Platform fee", "平台服务费"),
    "share": ("Your share", "您的分成"),
    "reversal": ("Voided", "作废冲回"),
    "proration": ("{share} of the full period", "完整账期的 {share}"),
    "no_lines": ("Nothing was billed in this period.", "本账期没有应计费项目。"),
    "statement_note": (
        "Amounts are net. Your share is what consumers were billed for your APIs, less the platform fee.",
        "金额均为净额。您的分成为您的 API 向用户计费的总额扣除平台服务费后的金额。",
    ),
    "part_flat": ("Fee for the period", "本期费用"),
    "part_units": ("{quantity} units", "{quantity} 个单位"),
    "part_package": ("{quantity} packages of {package_size} units", "{quantity} 个套餐包，每包 {package_size} 个单位"),
    "part_included": (
        "{quantity} of {included_units} units included",
        "套餐内含 {included_units} 个单位，已用 {quantity} 个",
    ),
    "part_tier": ("Units {first} to {last}", "第 {first} 至 {last} 个单位"),
    "part_tier_open": ("Units from {first} on", "第 {first} 个单位起"),
    "part_tier_flat": ("Fee of the tier from unit {first}", "第 {first} 个单位起的阶梯固定费用"),
    "part_volume": ("All units at the price from {first} units on", "全部按 {first} 个单位起的价格计费"),
}

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def language_of(code: str) -> str:
    """Return the language that documents have for a code: ``zh`` for any Chinese, otherwise ``en``."""
    return "zh" if code.lower().startswith("zh") else "en"


def message(key: str, language: str, **values: str) -> str:
    """Return one text, its places filled."""
    return MESSAGES[key][language == "zh"].format(**values)


def messages_all(language: str) -> dict[str, str]:
    """Return the whole table in one language, places unfilled."""
    return {key: texts[language == "zh"] for key, texts in MESSAGES.items()}


def part_text(part: Mapping[str, Any], language: str) -> str:
    """Describe one part of a rating's explanation; thousands are parted in its numbers."""
    values = {name: number_show(value) for name, value in part.items() if name != "text" and isinstance(value, str)}
    return message(f"part_{part['text']}", language, **values)


def number_show(text: str) -> str:
    """Part the thousands of a plain decimal: ``1234.50`` becomes ``1,234.50``. Other text stays as it is."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, point, places = digits.partition(".")
    return f"{sign}{int(whole):,}{point}{places}" if whole.isascii() and whole.isdigit() else text


def date_show(day: date, language: str) -> str:
    """Write a date out: 1 November 2026, 2026年11月1日."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def dates_show(first_on: date, last_on: date, language: str) -> str:
    """Write a range of days out, both included; what both share is written once in English."""
    if first_on == last_on:
        return date_show(first_on, language)
    if language == "zh":
        return f"{date_show(first_on, language)}至{date_show(last_on, language)}"
    first = date_show(first_on, language)
    if (first_on.year, first_on.month) == (last_on.year, last_on.month):
        first = str(first_on.day)
    elif first_on.year == last_on.year:
        first = first.removesuffix(f" {first_on.year}")
    return f"{first} – {date_show(last_on, language)}"

"""What was mailed, read as its reader would: Django's file backend writes the mails of one connection into one file."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path

from tests.waiting import eventually

MAIL_RULE = b"\n" + b"-" * 79 + b"\n"
"""What stands between two mails of a file."""
MAIL_S_MAX = 60.0
"""How long a mail may take through a queue and a worker on a slow machine."""


def mails_to(folder: Path, address: str) -> list[EmailMessage]:
    """All mails to an address, the oldest first."""
    found: list[EmailMessage] = []
    for path in sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime):
        for part in path.read_bytes().split(MAIL_RULE):
            message = email.message_from_bytes(part.strip(), policy=email.policy.default)
            if address in str(message["To"]):
                found.append(message)  # type: ignore[arg-type]
    return found


def mail_link(folder: Path, address: str) -> str:
    """The first link of the newest mail to an address that has one, waited for."""
    links: list[str] = []

    def look() -> list[str]:
        for message in reversed(mails_to(folder, address)):
            body = message.get_body(("plain",))
            links.extend(re.findall(r"https?://\S+", body.get_content()) if body else [])
        return links

    assert eventually(look, within_s=MAIL_S_MAX), f"no mail to {address} in {folder}"
    return links[0]

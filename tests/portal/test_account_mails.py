"""Mails about a person's account: each renders, in our words, says what to do, and leads to the portal."""

from typing import Any

import pytest
from allauth.account.adapter import get_adapter
from allauth.core import context
from django.test import Client, RequestFactory

from tests.portal.scene import person_make

NOTICES = {
    "account/email/password_changed": "password of your account was changed",
    "account/email/password_reset": "through a link that we mailed",
    "account/email/password_set": "A password was set",
    "account/email/email_confirm": "is confirmed",
    "account/email/email_changed": "from old@bluebird.example to new@bluebird.example",
    "account/email/email_deleted": "old@bluebird.example was removed",
    "mfa/email/totp_activated": "asks for a code",
    "mfa/email/totp_deactivated": "no longer asks for a code",
    "mfa/email/webauthn_added": "was added to your account",
    "mfa/email/webauthn_removed": "was removed from your account",
    "mfa/email/recovery_codes_generated": "New recovery codes",
}


@pytest.mark.django_db
def test_every_notice_says_what_changed_where_from_and_what_to_do(mailoutbox: list[Any]) -> None:
    bob = person_make("bob@bluebird.example", "Bob & Sons", with_password=False)
    request = RequestFactory().get("/", HTTP_USER_AGENT="A browser & more")
    extra = {
        "from_email": "old@bluebird.example",
        "to_email": "new@bluebird.example",
        "deleted_email": "old@bluebird.example",
    }
    with context.request_context(request):
        for prefix in NOTICES:
            get_adapter().send_notification_mail(prefix, bob, extra)
    assert len(mailoutbox) == len(NOTICES)
    for mail, said in zip(mailoutbox, NOTICES.values(), strict=True):
        assert said in mail.body
        assert "127.0.0.1" in mail.body and "A browser & more" in mail.body
        assert "change your password" in mail.body
        assert mail.subject == mail.subject.capitalize()


@pytest.mark.django_db
def test_who_asks_for_a_password_gets_a_mail_whether_or_not_there_is_an_account(mailoutbox: list[Any]) -> None:
    person_make("bob@bluebird.example", "Bob", with_password=False)
    client = Client()
    for address in ("bob@bluebird.example", "nobody@bluebird.example"):
        answer = client.post("/accounts/password/reset/", {"email": address})
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/password/reset/done/")
    known, unknown = mailoutbox
    assert known.subject == "Choose a new password" and "/accounts/password/reset/key/" in known.body
    assert unknown.subject == "No account with this address" and "/accounts/signup/" in unknown.body


@pytest.mark.django_db
def test_who_signs_up_with_an_address_that_is_taken_is_told_by_mail_only(mailoutbox: list[Any]) -> None:
    person_make("bob@bluebird.example", "Bob", with_password=False)
    for address in ("bob@bluebird.example", "new@bluebird.example"):
        form = {"email": address, "password1": "seven quiet herons at dusk"}
        answer = Client().post("/accounts/signup/", form)
        assert (answer.status_code, answer["Location"]) == (302, "/accounts/confirm-email/")
    taken, new = mailoutbox
    assert taken.subject == "You have an account already"
    assert new.subject == "Confirm your e-mail address" and "/accounts/confirm-email/" in new.body

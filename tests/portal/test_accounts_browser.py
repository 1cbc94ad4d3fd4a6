"""A person's own security in a real browser: second factor, recovery codes, passkey, verified address, forgotten password.

The portal is opened as localhost: browsers give no passkey to an address of numbers.
"""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value

from tests.mails import mail_link
from tests.portal.conftest import World
from tests.portal.looking import look, problems_of
from tests.portal.scene import PASSWORD

BOB, CHARLIE = "bob@bluebird.example", "charlie@stranger.example"
STEP_S = 30
STEP_LEFT_S_MIN = 5
"""A code is typed only while it has this long to live, so that it does not end on its way."""
NEW_PASSWORD = "seven quiet herons at dusk"
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class Visitor:
    """One browser profile at the portal, with everything that its pages complained about."""

    def __init__(self, browser: Any, world: World) -> None:
        self.url = world.url.replace("127.0.0.1", "localhost")
        self.mail = world.mail
        self.context = browser.new_context(locale="en-GB")
        self.page = self.context.new_page()
        self.faults: list[str] = []
        problems_of(self.page, self.faults)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def look(self, name: str) -> None:
        self.faults += look(self.page, name)

    def log_in(self, email: str, password: str = PASSWORD) -> None:
        self.open("/accounts/login/")
        self.page.fill("input[name=login]", email)
        self.page.fill("input[name=password]", password)
        self.page.press("input[name=password]", "Enter")
        self.page.wait_for_url(lambda address: "/accounts/login/" not in address)

    def confirm(self, password: str = PASSWORD) -> None:
        """Say the password again, as every page that changes a person's security asks."""
        self.page.get_by_role("heading", name="Confirm that it is you").wait_for()
        self.page.fill("input[name=password]", password)
        self.page.press("input[name=password]", "Enter")

    def log_out(self) -> None:
        self.page.get_by_label("Your account").click()
        self.page.get_by_role("button", name="Log out").click()
        self.page.get_by_role("link", name="Log in").first.wait_for()

    def code(self, code: str) -> None:
        self.page.fill("input[name=code]", code)
        self.page.press("input[name=code]", "Enter")

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    def is_inside(self) -> None:
        self.page.get_by_label("Your account").wait_for()


@pytest.fixture
def visitor(browser: Any, world: World) -> Iterator[Visitor]:
    """Somebody with a fresh browser profile."""
    visitor = Visitor(browser, world)
    yield visitor
    visitor.context.close()


def test_bob_turns_on_an_authenticator_app_logs_in_with_it_and_turns_it_off(visitor: Visitor) -> None:
    page = visitor.page
    visitor.log_in(BOB)
    visitor.open("/accounts/2fa/")
    page.get_by_role("link", name="Set up").click()
    visitor.look("reauthenticate")
    visitor.confirm("not the password")
    visitor.sees("Incorrect password.")
    visitor.look("reauthenticate-refused")
    visitor.confirm()
    page.get_by_role("heading", name="Set up an authenticator app").wait_for()
    visitor.look("totp-activate")
    secret = page.locator("form .copyable code").inner_text()
    visitor.code(_code_wrong(secret))
    visitor.sees("The code is wrong, or was used already.")
    visitor.look("totp-activate-refused")
    secret = page.locator("form .copyable code").inner_text()
    visitor.code(_code_now(secret))
    page.get_by_role("heading", name="10 of 10 codes are left").wait_for()
    visitor.look("recovery-codes")
    recovery = page.locator("pre code").inner_text().split()
    visitor.open("/accounts/2fa/")
    visitor.look("security-on")
    visitor.log_out()

    visitor.log_in(BOB)
    page.get_by_role("heading", name="One more step").wait_for()
    visitor.look("authenticate")
    visitor.code(_code_wrong(secret))
    visitor.sees("The code is wrong, or was used already.")
    visitor.look("authenticate-refused")
    assert page.locator("input[name=code]").get_attribute("aria-invalid") == "true"
    code = _code_now(secret)
    visitor.code(code)
    visitor.is_inside()
    visitor.log_out()

    visitor.log_in(BOB)
    visitor.code(code)
    visitor.sees(
        "The code is wrong, or was used already."
    )  # a code that was seen over a shoulder lets nobody in a second time
    visitor.code(recovery[0])
    visitor.is_inside()
    visitor.open("/accounts/2fa/")
    visitor.sees("9 codes are left.")
    visitor.open("/accounts/2fa/recovery-codes/generate/")
    visitor.look("reauthenticate-ways")
    visitor.confirm()
    page.get_by_role("heading", name="Make new recovery codes?").wait_for()
    visitor.look("recovery-codes-generate")

    visitor.open("/accounts/2fa/")
    page.get_by_role("link", name="Turn off").click()
    visitor.look("totp-deactivate")
    page.get_by_role("button", name="Turn off").click()
    visitor.sees("The authenticator app is off.")
    visitor.log_out()
    visitor.log_in(BOB)
    visitor.is_inside()
    assert visitor.faults == []


def test_bob_adds_a_passkey_logs_in_with_it_alone_and_removes_it(visitor: Visitor) -> None:
    page = visitor.page
    device = visitor.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    visitor.log_in(BOB)
    visitor.open("/accounts/2fa/webauthn/")
    visitor.look("passkeys-none")
    page.get_by_role("link", name="Add a passkey").click()
    visitor.confirm()
    page.get_by_role("heading", name="Add a passkey or security key").wait_for()
    visitor.look("passkey-add")
    page.get_by_label("Name").fill("Laptop")
    page.get_by_label("Name").press("Enter")
    page.get_by_role("heading", name="10 of 10 codes are left").wait_for()
    visitor.log_out()

    visitor.log_in(BOB)
    visitor.look("authenticate-passkey")
    page.get_by_role("button", name="Use a passkey or security key").click()
    visitor.is_inside()
    visitor.log_out()

    visitor.open("/accounts/login/")
    visitor.look("login-passkey")
    page.get_by_role("button", name="Log in with a passkey").click()
    visitor.is_inside()
    visitor.open("/accounts/2fa/webauthn/")
    visitor.look("passkeys")
    page.get_by_role("link", name="Rename Laptop").click()
    page.get_by_role("link", name="Use a passkey or security key").click()
    visitor.look("reauthenticate-passkey")
    page.get_by_role("button", name="Use a passkey or security key").click()
    page.get_by_role("heading", name="Rename the key").wait_for()
    visitor.look("passkey-rename")
    page.get_by_label("Name").fill("Old laptop")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove Old laptop").click()
    visitor.look("passkey-remove")
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("heading", name="No passkey yet").wait_for()
    visitor.log_out()
    visitor.open("/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    visitor.sees("This passkey is not known here")  # the device has it still
    visitor.look("login-passkey-unknown")
    assert visitor.faults == []


def test_a_passkey_that_does_not_come_is_explained(visitor: Visitor, world: World) -> None:
    page = visitor.page
    page.goto(f"{world.url}/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    visitor.sees("Passkeys do not work at this address")
    device = visitor.context.new_cdp_session(page)
    device.send("WebAuthn.enable")
    device.send("WebAuthn.addVirtualAuthenticator", {"options": {**AUTHENTICATOR, "isUserVerified": False}})
    visitor.open("/accounts/login/")
    page.get_by_role("button", name="Log in with a passkey").click()
    visitor.sees("No passkey was used.")
    visitor.look("passkey-problem")
    assert visitor.faults == []


def test_charlie_verifies_a_second_address_by_the_mail_sent_to_it(visitor: Visitor) -> None:
    page, second = visitor.page, "charlie@second.example"
    visitor.log_in(CHARLIE)
    visitor.open("/accounts/email/")
    page.get_by_label("E-mail address").fill(second)
    page.get_by_role("button", name="Add address").click()
    visitor.confirm()
    visitor.sees("Not verified")
    visitor.look("email-two")
    page.goto(mail_link(visitor.mail, second))
    visitor.look("email-confirm")
    page.get_by_role("button", name="Confirm").click()
    visitor.open("/accounts/email/")
    assert page.get_by_text("Verified", exact=True).count() == 2
    visitor.open("/accounts/confirm-email/nothing/")
    page.get_by_role("heading", name="This link has ended").wait_for()
    visitor.look("email-confirm-ended")
    assert _faults_without_not_found(visitor) == []


def test_charlie_who_forgot_the_password_chooses_a_new_one_by_mail(visitor: Visitor) -> None:
    page = visitor.page
    visitor.open("/accounts/login/")
    page.get_by_role("link", name=re.compile("Forg")).click()
    visitor.look("password-reset")
    page.fill("input[name=email]", CHARLIE.upper())
    page.press("input[name=email]", "Enter")
    page.get_by_role("heading", name="Look into your inbox").wait_for()
    visitor.look("password-reset-sent")
    link = mail_link(visitor.mail, CHARLIE)
    page.goto(link)
    visitor.look("password-new")
    page.fill("input[name=password1]", NEW_PASSWORD)
    page.fill("input[name=password2]", "another")
    page.press("input[name=password2]", "Enter")
    visitor.sees("You must type the same password each time.")
    visitor.look("password-new-refused")
    page.fill("input[name=password1]", NEW_PASSWORD)
    page.fill("input[name=password2]", NEW_PASSWORD)
    page.press("input[name=password2]", "Enter")
    page.get_by_role("heading", name="The password is changed").wait_for()
    visitor.look("password-changed")
    page.goto(link)
    page.get_by_role("heading", name="This link has ended").wait_for()
    visitor.look("password-reset-ended")
    visitor.log_in(CHARLIE, NEW_PASSWORD)
    visitor.open("/accounts/password/change/")
    page.fill("input[name=oldpassword]", NEW_PASSWORD)
    page.fill("input[name=password1]", PASSWORD)
    page.fill("input[name=password2]", PASSWORD)
    page.press("input[name=password2]", "Enter")
    visitor.sees("The password is changed.")
    visitor.open("/accounts/logout/")
    visitor.look("logout")
    assert visitor.faults == []


def _code_now(secret: str) -> str:
    """The code of the present step of time; waits for the next where this one is about to end."""
    left = STEP_S - time.time() % STEP_S
    if left < STEP_LEFT_S_MIN:
        time.sleep(left + 0.1)
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // STEP_S)))


def _code_wrong(secret: str) -> str:
    """A code of an hour ago: of the right form, and of this secret."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // STEP_S - 120)))


def _faults_without_not_found(visitor: Visitor) -> list[str]:
    return [fault for fault in visitor.faults if "404" not in fault]

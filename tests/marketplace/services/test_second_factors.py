"""Seeds of second factors: encrypted at rest, moved to a new key with the signing secrets."""

from dataclasses import replace

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from cryptography.fernet import Fernet
from django.conf import settings
from django.test import override_settings
from time_machine import travel

from marketplace.services.secrets import secrets_rotate
from tests.portal.scene import person_make

STEP_S = 30
NOW = 1_700_000_010


@pytest.mark.django_db
def test_seeds_are_stored_encrypted_and_follow_the_current_key() -> None:
    person = person_make("bob@bluebird.example", "Bob Lindqvist", with_password=False)
    secret = generate_totp_secret()
    app, recovery = TOTP.activate(person, secret), RecoveryCodes.activate(person)
    codes = recovery.get_unused_codes()
    assert secret not in str(_stored(app)) and not set(codes) & set(str(_stored(recovery)).split())
    keys = (("new", Fernet.generate_key().decode()), *settings.TOLLGATE.secret_keys)
    with override_settings(TOLLGATE=replace(settings.TOLLGATE, secret_keys=keys)):
        assert secrets_rotate().reencrypted == 2
        assert _stored(app)["secret"].startswith("new:") and _stored(recovery)["seed"].startswith("new:")
        assert Authenticator.objects.get(id=recovery.instance.id).wrap().get_unused_codes() == codes
        with travel(NOW, tick=False):
            code = format_hotp_value(hotp_value(secret, NOW // STEP_S))
            assert Authenticator.objects.get(id=app.instance.id).wrap().validate_code(code)
        assert secrets_rotate().reencrypted == 0
    gone = secrets_rotate()  # the new key is not there: nothing is lost, and the people are named
    assert gone.reencrypted == 0
    assert [line.split(" ")[0] for line in gone.unreadable] == [person.public_id] * 2


def _stored(factor: TOTP | RecoveryCodes) -> dict[str, str]:
    data: dict[str, str] = Authenticator.objects.values_list("data", flat=True).get(id=factor.instance.id)
    return data

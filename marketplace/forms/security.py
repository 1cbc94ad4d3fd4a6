"""Forms about how a person proves who they are: allauth's, in our words and without placeholders that repeat the label.

allauth does the checking; `settings.ACCOUNT_FORMS` and `settings.MFA_FORMS` name the classes.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from allauth.account import forms as account
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn import forms as webauthn
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

KEY_NAME_LENGTH_MAX = 60
EMAIL_LENGTH_MAX = 254
"""Characters, as RFC 5321 allows and as we store; allauth would cut a longer address and go on with another one."""
NEW_PASSWORD = {"password1": gettext_lazy("New password"), "password2": gettext_lazy("New password again")}
EMAIL = gettext_lazy("E-mail address")


class InOurWords:
    """Goes before a form of allauth: our labels by the field's name, no placeholders."""

    labels: ClassVar[Mapping[str, Any]] = {}
    fields: dict[str, forms.Field]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = self.labels.get(name, field.label)


class NewAddress(InOurWords):
    """Goes before a form that takes an address we are going to keep."""

    labels: ClassVar[Mapping[str, Any]] = {"email": EMAIL}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].validators.append(MaxLengthValidator(EMAIL_LENGTH_MAX))


class LoginForm(InOurWords, account.LoginForm):  # type: ignore[misc]
    """The door."""

    labels: ClassVar[Mapping[str, Any]] = {"login": EMAIL, "remember": gettext_lazy("Stay logged in on this device")}


class SignupForm(NewAddress, account.SignupForm):  # type: ignore[misc]
    """A new account."""


class EmailAddForm(NewAddress, account.AddEmailForm):  # type: ignore[misc]
    """One more address."""


class PasswordResetForm(InOurWords, account.ResetPasswordForm):  # type: ignore[misc]
    """Who forgot the password."""

    labels: ClassVar[Mapping[str, Any]] = {"email": EMAIL}


class PasswordResetKeyForm(InOurWords, account.ResetPasswordKeyForm):  # type: ignore[misc]
    """The new password of who followed the link."""

    labels: ClassVar[Mapping[str, Any]] = NEW_PASSWORD


class PasswordChangeForm(InOurWords, account.ChangePasswordForm):  # type: ignore[misc]
    """The new password of who knows the old one."""

    labels: ClassVar[Mapping[str, Any]] = {"oldpassword": gettext_lazy("Current password"), **NEW_PASSWORD}


class PasswordSetForm(InOurWords, account.SetPasswordForm):  # type: ignore[misc]
    """The first password of who had none."""

    labels: ClassVar[Mapping[str, Any]] = NEW_PASSWORD


class PasswordConfirmForm(InOurWords, account.ReauthenticateForm):  # type: ignore[misc]
    """The password, once more."""


class TotpActivateForm(InOurWords, ActivateTOTPForm):  # type: ignore[misc]
    """The first code of an authenticator app."""

    labels: ClassVar[Mapping[str, Any]] = {"code": gettext_lazy("Code")}


class CodeForm(InOurWords, AuthenticateForm):  # type: ignore[misc]
    """The code after the password."""


class CodeConfirmForm(InOurWords, ReauthenticateForm):  # type: ignore[misc]
    """A code, once more."""


class KnownKey:
    """Goes before a form that takes a passkey: says what a refused one may mean. A device keeps keys that ended here."""

    def clean_credential(self) -> Any:
        """The authenticator that the credential belongs to."""
        try:
            return super().clean_credential()  # type: ignore[misc]
        except ValidationError as error:
            if error.code != "incorrect_code":
                raise
            text = _("This passkey is not known here; perhaps it was removed. Use another one, or your password.")
            raise ValidationError(text, code=error.code) from error


class PasskeyLoginForm(KnownKey, webauthn.LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of the password."""


class PasskeyForm(KnownKey, webauthn.AuthenticateWebAuthnForm):  # type: ignore[misc]
    """A key after the password."""


class PasskeyConfirmForm(KnownKey, webauthn.ReauthenticateWebAuthnForm):  # type: ignore[misc]
    """A key, once more."""


class PasskeyAddForm(webauthn.AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey, or a security key for after the password; the page's script fills in the credential."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=KEY_NAME_LENGTH_MAX,
        help_text=gettext_lazy("To tell your keys apart."),
    )
    passwordless = forms.BooleanField(
        label=gettext_lazy("Log in with it alone, without the password"),
        required=False,
        initial=True,
        help_text=gettext_lazy(
            "The device asks for your fingerprint, your face or a PIN. Off: a second factor after the password."
        ),
    )


class PasskeyEditForm(webauthn.EditWebAuthnForm):  # type: ignore[misc]
    """Another name for a key."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=KEY_NAME_LENGTH_MAX)

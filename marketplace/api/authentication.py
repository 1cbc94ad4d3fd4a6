"""Who calls the REST API: a program with an access token (``Authorization: Bearer tgp_…`` or ``tgo_…``), or a logged-in person."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from marketplace.models import AccessToken, Person
from marketplace.selectors.accounts import access_token_find
from marketplace.services.access_tokens import access_token_use

TOKEN_LENGTH_MAX = 200


class BearerAuthentication(BaseAuthentication):
    """Authenticates by access token; the token itself becomes ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[Person, AccessToken] | None:
        """Return the person and token, None without a bearer header. Raises AuthenticationFailed."""
        header = get_authorization_header(request).split()
        if not header or header[0].lower() != b"bearer":
            return None
        text = header[1].decode("ascii", "replace") if len(header) == 2 else ""
        token = access_token_find(text=text) if 0 < len(text) <= TOKEN_LENGTH_MAX else None
        if token is None:
            raise AuthenticationFailed(
                _("This access token is unknown, expired or revoked. Issue a new one in the portal.")
            )
        access_token_use(access_token=token)
        return token.person, token

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        del request
        return 'Bearer realm="tollgate"'


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The bearer scheme in our OpenAPI document."""

    target_class = "marketplace.api.authentication.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """An HTTP bearer, with what it is."""
        del auto_schema
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An access token of a person (tgp_…) or of an organization (tgo_…), issued in the portal.",
        }


AUTHENTICATION = [BearerAuthentication, SessionAuthentication]
"""In this order, so that a missing login is answered 401 with a challenge."""

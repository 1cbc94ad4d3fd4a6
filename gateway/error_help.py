"""What each refusal means to the caller and what to do about it. The codes and their statuses are in ``core.rejections``."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from gateway.core.rejections import REJECTIONS, Kind

GROUPS: tuple[tuple[str | Promise, tuple[str, ...]], ...] = (
    (_("Who is calling"), ("A", "S")),
    (_("How much may be called"), ("T", "B")),
    (_("What was sent"), ("I",)),
    (_("The provider's server"), ("D", "N")),
    (_("The gateway itself"), ("X",)),
)
"""Groups of the index, by the first letter of a code."""

_HTTP = _("Send one well-formed HTTP/1.1 request. A maintained HTTP client does this by itself; look for headers or bodies that are put together by hand.")  # fmt: skip
_SLOW_DOWN = _("Wait as many seconds as the header Retry-After says, then try again. The headers RateLimit and RateLimit-Policy say how much is left, so that you can slow down before. If this happens often, take a plan with a higher rate.")  # fmt: skip
_UPSTREAM = _("The fault is at the provider's server, and the call is not charged. Try again a little later; if it stays, tell the provider the request id.")  # fmt: skip
_SUBSCRIBE = _("Open the API in the catalogue, subscribe to a plan, and choose this app.")

HELP: dict[str, tuple[str | Promise, str | Promise]] = {
    "I400HD": (_("A header has a name or value that HTTP does not allow, or occurs twice where it may occur once."), _HTTP),
    "I400MH": (_("A header that this request needs is missing."), _("Add the header that the message names.")),
    "I400BD": (_("The body could not be read: its length or chunks do not add up."), _HTTP),
    "I400PA": (_("The path contains characters or percent-escapes that are not allowed."), _("Percent-encode each value that you put into the path.")),
    "I400RU": (_("The first line of the request could not be read."), _HTTP),
    "I405UM": (_("The path exists, but not with this method."), _("Look at the API's operations for the methods of this path.")),
    "I408TO": (_("The request did not arrive completely in time."), _("Send the request without pauses; look at the network between you and the gateway.")),
    "I413RL": (_("The body is larger than the API takes."), _("Send less at once. The API's documentation says how much it takes.")),
    "I413UL": (_("The path and query string are too long together."), _("Move long values from the query string to the body, if the operation takes one.")),
    "I417EX": (_("The header Expect asks for something other than 100-continue."), _("Remove the header Expect.")),
    "I431HL": (_("There are too many headers, or they are too large together."), _("Send fewer or shorter headers; look for cookies that grow.")),
    "I501UM": (_("This HTTP method is unknown to the gateway."), _("Use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS.")),
    "I501TE": (_("The transfer coding is not supported."), _("Use chunked, or send a Content-Length.")),
    "I501UP": (_("The request asks to switch to another protocol, which this API does not offer."), _("Call without the header Upgrade.")),
    "I505HV": (_("This HTTP version is not spoken here."), _("Use HTTP/1.1.")),
    "I508LD": (_("The call has come through this gateway before: it goes round in a circle."), _("The provider must not set an upstream that leads back to the gateway.")),
    "I499CC": (_("The caller closed the connection before the answer was ready."), _("Allow your client a longer time-out.")),
    "I404NF": (_("No deployed API answers to this method and path."), _("Compare base path, path and method with the API's page, and the stage with what is deployed: X-Ca-Stage chooses TEST, PRE or RELEASE.")),
    "I400SG": (_("The header X-Ca-Stage names no stage."), _("Send TEST, PRE or RELEASE, or leave the header out for RELEASE.")),
    "A400AC": (_("The AppCode is unknown, revoked, or has ended."), _("Copy the AppCode again, or issue a new one on the app's page. The header reads: Authorization: APPCODE, a space, and the code.")),
    "A400IK": (_("The AppKey is unknown, revoked, or has ended."), _("Look at the app's page for the keys that are live.")),
    "A400MA": (_("The call carries no credentials, and this API needs them."), _("Send an AppCode in the header Authorization, or sign the call with AppKey and AppSecret.")),
    "A403IS": (_("The signature does not fit the request."), _("The message shows the text that the gateway signed (line breaks as #). Compare it with the text that your client signed: the first difference is the fault. Often it is the order of query parameters, the Accept header, or a proxy that changed a header.")),
    "A403EP": (_("The app's permission for this API has ended."), _SUBSCRIBE),
    "I403AA": (_("The app holds no permission for this API on this stage."), _SUBSCRIBE),
    "I400I5": (_("The Content-MD5 header does not fit the body."), _("Compute the MD5 of the very bytes that you send, as Base64; leave the header out for form bodies.")),
    "I400NC": (_("The API demands a nonce, and the call has none."), _("Send a fresh UUID in X-Ca-Nonce with each call.")),
    "S403NU": (_("This nonce was used in the last 15 minutes: the call looks like a replay."), _("Make a new nonce for each call, also for each retry.")),
    "S403TE": (_("The timestamp of the call is more than 15 minutes off."), _("Set the clock of the calling machine (NTP), and sign each call just before sending it. X-Ca-Timestamp is in milliseconds.")),
    "T429PA": (_("All callers of this API together are above its rate limit."), _SLOW_DOWN),
    "T429US": (_("Your organization is above the API's rate limit for one organization."), _SLOW_DOWN),
    "T429AP": (_("The app is above the rate limit of the API or of its plan."), _SLOW_DOWN),
    "T429MR": (_("Too many calls."), _SLOW_DOWN),
    "B403MQ": (_("The quota of the plan is used up. The message names the plan and says when the quota starts again."), _("Wait until then, or change to a larger plan: it works at once. Refused calls are not charged and do not count.")),
    "X500ER": (_("Something went wrong inside the gateway."), _("Try again. If it stays, tell us the request id.")),
    "X503BZ": (_("The gateway cannot take the call just now, or cannot check a hard quota safely."), _("Try again after the seconds of Retry-After. The call is not charged.")),
    "D504RE": (_("The name of the provider's server could not be resolved."), _UPSTREAM),
    "D504IL": (_("The name of the provider's server leads to an address that a gateway must not call."), _UPSTREAM),
    "D504CO": (_("The provider's server could not be reached."), _UPSTREAM),
    "D504CS": (_("No safe connection to the provider's server could be made."), _UPSTREAM),
    "D504TO": (_("The provider's server did not answer in time."), _UPSTREAM),
    "D503BB": (_("The provider's server has too many calls open."), _UPSTREAM),
    "D503CB": (_("The provider's server failed so often that calls are held back for a moment."), _UPSTREAM),
    "N502RE": (_("The provider's server answered with something that is not HTTP."), _UPSTREAM),
}  # fmt: skip

_UNKNOWN = (_("The gateway refused the call."), _("Read the message of the answer; it says what is wrong."))


def help_get(code: str) -> tuple[str | Promise, str | Promise]:
    """(what it means, what to do) for a code of the table."""
    return HELP.get(code, _UNKNOWN)


def index_make() -> list[tuple[str | Promise, list[tuple[Kind, str | Promise]]]]:
    """All codes with what they mean, by group."""
    groups = []
    for title, letters in GROUPS:
        kinds = [kind for kind in REJECTIONS.values() if kind.code[0] in letters]
        groups.append((title, [(kind, help_get(kind.code)[0]) for kind in sorted(kinds)]))
    return groups

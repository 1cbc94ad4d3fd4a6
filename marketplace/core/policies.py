"""Are these ApiPolicies sane? Pure reading of a policies dict with a fault for each bad value; enforcing is the gateway's work."""

from typing import Any

from marketplace.contracts.definition import ApiPolicies
from marketplace.contracts.limits import RateLimit
from marketplace.core.limits import rate_faults

BODY_BYTES_MAX = 10 * 1024**3
"""The largest body limit that a provider can ask for; 0 means the gateway's own limit."""
RATE_EXCEPTIONS_MAX = 200
SIGNATURE_METHODS = ("HmacSHA256", "HmacSHA1")
_RATES = ("rate_api", "rate_organization", "rate_app")
_CHOICES = {"auth": ("app", "anonymous"), "app_code": ("disable", "header", "header_query")}
_FIELDS = frozenset(ApiPolicies.__dataclass_fields__)

Faults = list[tuple[str, str]]


def policies_read(value: dict[str, Any]) -> tuple[ApiPolicies | None, Faults]:
    """Return the policies, or None and (pointer, what is wrong) for each bad value."""
    faults: Faults = [(f"/{name}", "There is no such policy") for name in sorted(set(value) - _FIELDS)]
    for name, choices in _CHOICES.items():
        if value.get(name, choices[0]) not in choices:
            faults.append((f"/{name}", f"Must be one of: {', '.join(choices)}"))
    methods = value.get("signature_methods", SIGNATURE_METHODS)
    if not isinstance(methods, list | tuple) or not set(map(str, methods)) <= set(SIGNATURE_METHODS):
        faults.append(("/signature_methods", f"May list: {', '.join(SIGNATURE_METHODS)}"))
    if not isinstance(value.get("nonce_required", False), bool):
        faults.append(("/nonce_required", "Must be true or false"))
    body_max = value.get("body_bytes_max", 0)
    if not _is_int(body_max) or not 0 <= body_max <= BODY_BYTES_MAX:
        faults.append(("/body_bytes_max", f"Must be from 0 (the gateway's own limit) to {BODY_BYTES_MAX} bytes"))
    faults += [fault for name in _RATES if value.get(name) is not None for fault in _rate_read(value[name], f"/{name}")]
    faults += _exceptions_read(value.get("rate_app_exceptions", {}))
    return (None, faults) if faults else (ApiPolicies.from_dict(value), [])


def _exceptions_read(value: Any) -> Faults:
    if not isinstance(value, dict) or len(value) > RATE_EXCEPTIONS_MAX:
        return [("/rate_app_exceptions", f"Must map app ids to rate limits, at most {RATE_EXCEPTIONS_MAX}")]
    return [fault for app, rate in value.items() for fault in _rate_read(rate, f"/rate_app_exceptions/{app}")]


def _rate_read(value: Any, pointer: str) -> Faults:
    if not isinstance(value, dict):
        return [(pointer, 'Must be an object such as {"calls": 100, "period_s": 60}')]
    unknown = sorted(set(value) - set(RateLimit.__dataclass_fields__))
    if unknown:
        return [(f"{pointer}/{name}", "There is no such field") for name in unknown]
    numbers = {name: value.get(name, 0) for name in ("calls", "period_s", "burst")}
    wrong = [(f"{pointer}/{name}", "Must be a whole number") for name, number in numbers.items() if not _is_int(number)]
    if wrong:
        return wrong
    rate = RateLimit(**numbers, store_down=value.get("store_down", "allow"))
    return [(f"{pointer}{inner}", text) for inner, text in rate_faults(rate)]


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)

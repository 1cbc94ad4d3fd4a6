"""Is this upstream address one that a gateway may call? Pure checks of a URL's text and of addresses.

Loopback and private addresses are allowed by a setting of the platform, since a provider's cluster is private more often than
not. Link-local addresses (where clouds keep the machine's own credentials) are never allowed, however they are written.
"""

import ipaddress
import re
from urllib.parse import urlsplit

URL_LENGTH_MAX = 300
AUTHORITY_LENGTH_MAX = 253
TIMEOUT_MS_MIN = 100
TIMEOUT_MS_MAX = 300_000
METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data"})
METADATA_ADDRESSES = frozenset(
    ipaddress.ip_address(text) for text in ("169.254.169.254", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
"""Where clouds answer with credentials: AWS, Azure, Google; Alibaba Cloud; Oracle; AWS over IPv6."""

_HOST = re.compile(
    r"(?=.{1,253}\Z)(?:[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?\.?\Z"
)
_PORT = re.compile(r":[0-9]{1,5}\Z")
_PATH = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})*)*\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UpstreamRefused(ValueError):
    """The address cannot be an upstream; the message says what to change."""


def upstream_url_parse(text: str, *, is_private_allowed: bool) -> str:
    """Return the upstream URL ``scheme://host[:port][/path]`` without a slash at its end. Raises UpstreamRefused."""
    url = text.strip()
    if len(url) > URL_LENGTH_MAX:
        raise UpstreamRefused(f"An upstream URL has at most {URL_LENGTH_MAX} characters")
    if not url.isascii() or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise UpstreamRefused("Write the URL in ASCII without spaces; encode other characters (%E5…, xn--…)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UpstreamRefused("This is not a URL such as http://weather.default.svc:8080") from error
    _parts_check(parts.scheme, parts.username, parts.query or parts.fragment, url)
    host = parts.hostname or ""
    upstream_host_check(host, is_private_allowed=is_private_allowed)
    if port == 0:
        raise UpstreamRefused("The port must be from 1 to 65535")
    if not _PATH.match(parts.path) or any(segment in (".", "..") for segment in parts.path.split("/")):
        raise UpstreamRefused("The path of the URL has a segment or a character that cannot be forwarded")
    shown_host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{shown_host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def upstream_host_check(host: str, *, is_private_allowed: bool) -> None:
    """Refuse a host that is empty, malformed, or an address that a gateway must not call. Raises UpstreamRefused."""
    if not host:
        raise UpstreamRefused("The URL needs a host, such as http://weather.default.svc:8080")
    if host.lower().rstrip(".") in METADATA_HOSTS:
        raise UpstreamRefused("This host is the cloud's own metadata service, which no upstream can be")
    address = _address_of(host)
    if address is not None:
        upstream_address_check(address, is_private_allowed=is_private_allowed)
        return
    if not _HOST.match(host):
        raise UpstreamRefused("The host is neither a name nor an IP address")
    if not is_private_allowed and host.lower().rstrip(".").rpartition(".")[2] in ("localhost", "local", "internal"):
        raise UpstreamRefused("Private hosts are not allowed on this platform")


def upstream_authority_check(text: str) -> None:
    """Refuse a Host header that is not ``host`` or ``host:port``: it is written into requests as it is. Raises UpstreamRefused."""
    host, colon, port = text.rpartition(":") if _PORT.search(text) else (text, "", "")
    if len(text) > AUTHORITY_LENGTH_MAX or not text.isascii() or (colon and not 1 <= int(port) <= 65_535):
        raise UpstreamRefused("Write the Host header as a host, or as host:port, such as weather.example:8443")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    upstream_host_check(host, is_private_allowed=True)


def upstream_address_check(address: Address, *, is_private_allowed: bool) -> None:
    """Refuse link-local, metadata, multicast and unspecified addresses always, private ones unless allowed."""
    plain = getattr(address, "ipv4_mapped", None) or address
    if plain in METADATA_ADDRESSES or plain.is_link_local:
        raise UpstreamRefused("Link-local and metadata addresses can never be an upstream")
    if plain.is_multicast or plain.is_unspecified or (plain.is_reserved and not plain.is_loopback):
        raise UpstreamRefused("This address cannot be an upstream")
    if not is_private_allowed and not plain.is_global:
        raise UpstreamRefused("Private and loopback addresses are not allowed on this platform")


def _parts_check(scheme: str, username: str | None, extra: str, url: str) -> None:
    if scheme.lower() not in ("http", "https"):
        raise UpstreamRefused("The URL starts with http:// or https://")
    if username is not None or "@" in url.split("//", 1)[-1].split("/", 1)[0]:
        raise UpstreamRefused("The URL must not carry a name or password; add them as a header at the upstream")
    if extra or "?" in url or "#" in url:
        raise UpstreamRefused("The URL must end with its path: no ? and no #")


def _address_of(host: str) -> Address | None:
    """The address that ``host`` writes, also in the old forms that resolvers take (0x7f.1, 2130706433, 0177.0.0.1)."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    parts = host.rstrip(".").split(".")
    if not 1 <= len(parts) <= 4 or not all(re.fullmatch(r"0[xX][0-9A-Fa-f]*|[0-9]+", part) for part in parts):
        return None
    try:
        numbers = [_number(part) for part in parts]
    except ValueError:
        raise UpstreamRefused("The host is neither a name nor an IP address") from None
    *head, tail = numbers
    if any(number > 255 for number in head) or tail >= 256 ** (5 - len(numbers)):
        raise UpstreamRefused("The host is neither a name nor an IP address")
    value = tail + sum(number << (8 * (3 - position)) for position, number in enumerate(head))
    return ipaddress.IPv4Address(value)


def _number(part: str) -> int:
    if part.lower().startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") and part != "0" else int(part)

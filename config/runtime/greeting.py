"""What the terminal shows when everything runs: addresses, the demo's people, and a curl line that works."""

import json
from pathlib import Path
from typing import Any

from config.env import Settings
from config.runtime.running import Addresses, addresses_of
from config.runtime.terminal import bold, say


def demo_read(var: Path) -> dict[str, Any] | None:
    """What the demo's loader wrote down, or None when there is no demo."""
    path = var / "demo.json"
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def demo_addresses(demo: dict[str, Any], addresses: Addresses) -> dict[str, Any]:
    """The demo with the addresses that apply now: ports may have changed since it was loaded. TLS is not served yet."""
    return {
        "portal_url": addresses.portal_url,
        "gateway_url": addresses.gateway_url,
        "gateway_tls_url": None,
        "people": demo["people"],
        "consumer_app": demo["consumer_app"],
        "api": demo["api"],
    }


def curl_line(demo: dict[str, Any]) -> str:
    """A call with the simple credential, ready to paste."""
    operation = demo["api"]["operations"][0]
    path = operation["path"].replace("{city}", "Hangzhou")
    code = demo["consumer_app"]["app_code"]
    return f'curl -i -H "Authorization: APPCODE {code}" {demo["gateway_url"]}{demo["api"]["base_path"]}{path}'


def demo_show(demo: dict[str, Any], addresses: Addresses) -> None:
    """The demo for human eyes, with the address that APIs of one's own can name as their upstream."""
    say(f"  portal    {bold(demo['portal_url'])}")
    say(f"  gateway   {bold(demo['gateway_url'])}")
    say(f"  upstream  http://{addresses.upstream_bind}   the demo's service; it answers any path")
    say()
    for role, person in demo["people"].items():
        say(f"  {role:<9} {person['email']}   password {person['password']}")
    say()
    say(f"  {bold(curl_line(demo))}")


def greeting_show(settings: Settings, *, seconds: float) -> None:
    """Say that everything runs, and what to do next."""
    say(
        f"\n{bold('Tollgate is running')} after {seconds:.1f} s. Ctrl-C stops everything. Logs: {settings.var / 'logs'}\n"
    )
    demo = demo_read(settings.var)
    if settings.is_demo and demo is not None:
        addresses = addresses_of(settings)
        demo_show(demo_addresses(demo, addresses), addresses)
    else:
        say(f"  portal    {settings.public_url}\n  gateway   {settings.gateway_url}")
    say()

"""What the terminal says when everything runs: every address that a newcomer needs, the demo's upstream among them."""

import pytest

from config.runtime.greeting import demo_show
from config.runtime.running import Addresses


def test_the_greeting_names_the_demo_upstream_where_it_really_listens(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = Addresses("http://a:1", "http://a:2", "a:1", "a:3", "127.0.0.1:9400")
    demo = {
        "portal_url": addresses.portal_url,
        "gateway_url": addresses.gateway_url,
        "people": {"provider": {"email": "alice@tests.example", "password": "secret"}},
        "consumer_app": {"app_code": "c0de"},
        "api": {"base_path": "/weather", "operations": [{"method": "GET", "path": "/current/{city}"}]},
    }
    demo_show(demo, addresses)
    said = capsys.readouterr().out
    assert "upstream  http://127.0.0.1:9400" in said
    assert "http://a:2/weather/current/Hangzhou" in said

"""The environment: everything wrong is said at once, and production is strict."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import env
from gateway.dataplane.settings import WORKERS_MAX, SettingsInvalid, settings_read
from tests.servers import ROOT

GOOD = {
    "TOLLGATE_ENV": "production",
    "SECRET_KEY": "s" * 50,
    "DATABASE_URL": "postgresql://tollgate:secret@db.example:5432/tollgate",
    "VALKEY_URL": "redis://cache.example:6379/0",
    "TOLLGATE_SECRET_KEYS": "k1:" + "A" * 43 + "=",
    "TOLLGATE_PUBLIC_URL": "https://portal.example",
    "EMAIL_URL": "submission://person:secret@mail.example:587",
}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for variable in env.VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    monkeypatch.setenv("TOLLGATE_VAR", str(tmp_path / "var"))
    return monkeypatch


def test_production_without_anything_names_every_missing_variable(clean: pytest.MonkeyPatch) -> None:
    clean.setenv("TOLLGATE_ENV", "production")
    with pytest.raises(env.EnvironmentFault) as caught:
        env.settings_read()
    for name in ("SECRET_KEY", "DATABASE_URL", "VALKEY_URL", "TOLLGATE_SECRET_KEYS", "EMAIL_URL"):
        assert f"{name}: " in str(caught.value)
        assert f"Example: {name}=" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOLLGATE_ENV", "staging"),
        ("SECRET_KEY", "short"),
        ("DATABASE_URL", "sqlite:///db"),
        ("VALKEY_URL", "memcached://cache"),
        ("TOLLGATE_SECRET_KEYS", "k1:notakey"),
        ("TOLLGATE_SECRET_KEYS", "justakey"),
        ("TOLLGATE_PUBLIC_URL", "portal.example"),
        ("TOLLGATE_GATEWAY_BIND", "8080"),
        ("TOLLGATE_GATEWAY_BIND", "127.0.0.1:99999"),
        ("TOLLGATE_GATEWAY_WORKERS", "0"),
        ("TOLLGATE_GATEWAY_WORKERS", "many"),
        ("TOLLGATE_GATEWAY_WORKERS", str(WORKERS_MAX + 1)),
        ("TOLLGATE_SEAL_S", "soon"),
        ("TOLLGATE_PROXY_COUNT", "-1"),
        ("TOLLGATE_LOG_LEVEL", "LOUD"),
        ("EMAIL_URL", "smtp+tls://mail.example"),
    ],
)
def test_a_bad_value_is_named_with_an_example(clean: pytest.MonkeyPatch, name: str, value: str) -> None:
    for good, text in {**GOOD, name: value}.items():
        clean.setenv(good, text)
    with pytest.raises(env.EnvironmentFault, match=f"{name}: .*Example: {name}="):
        env.settings_read()


def test_portal_and_data_plane_take_the_same_numbers_of_workers(clean: pytest.MonkeyPatch) -> None:
    for name, value in {**GOOD, "TOLLGATE_GATEWAY_WORKERS": str(WORKERS_MAX)}.items():
        clean.setenv(name, value)
    assert env.settings_read().gateway_workers == settings_read(os.environ).workers == WORKERS_MAX
    with pytest.raises(SettingsInvalid, match=f"TOLLGATE_GATEWAY_WORKERS.*1 to {WORKERS_MAX}"):
        settings_read({"TOLLGATE_GATEWAY_WORKERS": str(WORKERS_MAX + 1)})


def test_good_values_are_read(clean: pytest.MonkeyPatch) -> None:
    for name, value in GOOD.items():
        clean.setenv(name, value)
    read = env.settings_read()
    assert read.is_https
    assert read.allowed_hosts == ("portal.example",)
    assert read.database["ENGINE"] == "django.db.backends.postgresql"


def test_the_demo_generates_secrets_once_for_its_owner_only(clean: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = env.settings_read()
    kept = tmp_path / "var" / "secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    for name in ("SECRET_KEY", "TOLLGATE_SECRET_KEYS", "DATABASE_URL", "VALKEY_URL"):
        clean.delenv(name)
    assert env.settings_read().secret_key == first.secret_key


def test_production_is_strict_with_passwords_cookies_and_scripts() -> None:
    code = (
        "import json; from config import settings as s; print(json.dumps([s.PASSWORD_HASHERS, s.SESSION_COOKIE_SECURE,"
        " s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS > 0, s.DEBUG,"
        " [str(v) for v in s.CONTENT_SECURITY_POLICY['DIRECTIVES']['script-src']]]))"
    )
    environment = {**GOOD, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    hashers, session_secure, csrf_secure, has_hsts, debug, scripts = json.loads(done.stdout)
    assert hashers == ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    assert (session_secure, csrf_secure, has_hsts, debug) == (True, True, True, False)
    assert not any("unsafe" in source for source in scripts)

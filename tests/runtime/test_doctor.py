"""The doctor names what is there: a log only when somebody has written one."""

import dataclasses
from pathlib import Path

import pytest
from django.conf import settings

from config.management.commands.doctor import gateway_fault
from tests.servers import port_free


def test_the_doctor_points_to_a_log_only_when_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bind = f"127.0.0.1:{port_free()}"
    here = dataclasses.replace(settings.TOLLGATE, var=tmp_path, metrics_bind=bind)
    monkeypatch.setattr(settings, "TOLLGATE", here)
    log = tmp_path / "logs" / "gateway.log"
    assert bind in gateway_fault() and "gateway.log" not in gateway_fault()
    log.parent.mkdir()
    log.touch()
    assert str(log) in gateway_fault()

"""A shipper of the test's own database and folders, in this process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from gateway.dataplane.settings import settings_read
from gateway.dataplane.shipper import Shipper
from tests.gateway.state.parts import generation_set


@pytest.fixture
def shipper(tmp_path: Path, valkey: Any) -> Iterator[Shipper]:
    """A shipper of this test's database and folders."""
    generation_set(valkey)
    name, host = connection.settings_dict["NAME"], connection.settings_dict["HOST"]
    url = f"postgresql://{connection.settings_dict['USER']}@/{name}?host={host}"
    folders = {"TOLLGATE_JOURNAL_DIR": str(tmp_path / "journal"), "TOLLGATE_EVIDENCE_DIR": str(tmp_path / "evidence")}
    settings = settings_read({**os.environ, **folders, "DATABASE_URL": url})
    settings.journal_dir.mkdir()
    ours = Shipper(settings)
    yield ours
    if ours._connection is not None:
        ours._connection.close()
    ours._store.close()

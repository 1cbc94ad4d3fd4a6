"""The embedded servers' traps: long paths, private folders, crashes, strangers' files."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded import places, postgres, valkey
from config.embedded.postgres import Postgres, wheel_binaries
from config.embedded.valkey import Valkey
from tests import harness


@pytest.fixture
def folder() -> Iterator[Path]:
    made = harness.folder_make()
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_a_socket_path_that_would_be_too_long_falls_back_to_a_short_one(folder: Path) -> None:
    home = folder / ("x" * 120)
    assert len(os.fsencode(places.valkey_socket(home))) <= places.SOCKET_PATH_BYTES_MAX
    server = Valkey(home=home, options=valkey.THROWAWAY)
    server.start()
    server.stop()
    assert not server.socket.exists()
    server.socket.parent.rmdir()


def test_valkey_is_private_has_no_port_and_keeps_the_queue_over_a_kill(folder: Path) -> None:
    import redis

    server = Valkey(home=folder / "valkey", options={"appendfsync": "always"})
    server.start()
    client = redis.Redis.from_url(server.url())
    client.set("queued", "work")
    assert client.config_get("port") == {"port": "0"}
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    client.close()
    server.kill()
    server.restart()
    client = redis.Redis.from_url(server.url())
    assert client.get("queued") == b"work"
    client.close()
    server.stop()


def test_no_mode_of_a_folder_that_is_not_ours_changes(folder: Path) -> None:
    parent = folder / "parent"
    parent.mkdir(mode=0o751)
    parent.chmod(0o751)
    server = Postgres(home=parent / "postgres", options=postgres.THROWAWAY)
    server.start()
    assert server.is_answering()
    server.stop()
    assert stat.S_IMODE(parent.stat().st_mode) == 0o751
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    assert not list(server.sockets.iterdir())


def test_a_cluster_that_was_not_finished_is_made_anew_and_a_finished_one_is_kept(folder: Path) -> None:
    """Killed while initdb ran: PG_VERSION is there by then, but tables and the rule of who may connect are not."""
    server = Postgres(home=folder / "postgres", options=postgres.THROWAWAY)
    server.prepare()
    part = server.data.rename(server.data.with_name("data.part"))
    shutil.rmtree(part / "base")
    server.prepare()
    assert not part.exists() and (server.data / "base").exists()
    (server.data / "note").touch()
    server.start()
    assert server.is_answering() and (server.data / "note").exists()
    server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must give its binaries to another account")
def test_binaries_in_a_private_folder_are_copied_to_where_the_server_account_can_read_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = folder / "private" / "site-packages"
    package = wheel_binaries().parents[1]
    shutil.copytree(package / "pginstall18", site / package.name / "pginstall18", symlinks=True)
    shutil.copytree(package.with_name(f"{package.name}.libs"), site / f"{package.name}.libs")
    (folder / "private").chmod(0o700)
    monkeypatch.setattr(places, "public_folder", lambda: folder / "public")
    server = Postgres(home=folder / "postgres", binaries=site / package.name / "pginstall18" / "bin")
    assert server.bin("postgres").is_relative_to(folder / "public")
    server.start()
    assert server.is_answering()
    server.stop()
    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o700


def test_a_folder_that_somebody_else_prepared_is_refused(folder: Path) -> None:
    (folder / "elsewhere").mkdir()
    (folder / "trap").symlink_to(folder / "elsewhere")
    with pytest.raises(places.PlaceTaken, match="belongs to somebody else"):
        places.private_folder_make(folder / "trap")


def test_a_named_folder_without_the_server_is_named_in_the_fault(folder: Path) -> None:
    with pytest.raises(valkey.ValkeyFault, match="holds neither"):
        valkey.binary_find(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps the data outside of the var folder")
def test_a_new_clone_at_the_same_path_does_not_find_the_old_ones_database(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "public_folder", lambda: folder / "public")
    first = places.postgres_home(folder / "var")
    first.mkdir(parents=True)
    assert places.postgres_home(folder / "var") == first
    assert places.postgres_homes_stale(folder / "var") == []
    shutil.rmtree(folder / "var")
    assert places.postgres_home(folder / "var") != first
    assert places.postgres_homes_stale(folder / "var") == [first.parent]

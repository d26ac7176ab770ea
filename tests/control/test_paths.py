"""The folders of the daemon: where they are, who may enter, and socket paths of any length."""

import os
import socket

import pytest

from afield.control import paths
from afield.errors import DaemonError


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch):
    for name in ("AFIELD_RUN_DIR", "AFIELD_STATE_DIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_run_folder_follows_xdg_and_the_override(monkeypatch):
    assert paths.run_folder() == f"/tmp/afield-{os.getuid()}/afield"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert paths.socket_path() == "/run/user/7/afield/daemon.sock"
    monkeypatch.setenv("AFIELD_RUN_DIR", "/x/y")
    assert paths.socket_path() == "/x/y/daemon.sock"


def test_the_state_folder_follows_xdg_and_the_override(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    assert paths.state_folder() == "/home/u/.local/state/afield"
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    assert paths.log_path() == "/s/afield/log/daemon.log"
    monkeypatch.setenv("AFIELD_STATE_DIR", "/t")
    assert paths.state_folder() == "/t"


def test_a_private_folder_is_made_0700_and_an_open_one_is_closed(tmp_path):
    folder = str(tmp_path / "a" / "b")
    assert paths.make_private(folder) == folder
    assert os.stat(folder).st_mode & 0o777 == 0o700
    os.chmod(folder, 0o755)
    paths.make_private(folder)
    assert os.stat(folder).st_mode & 0o777 == 0o700


def test_a_symlink_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DaemonError, match="not a folder that belongs"):
        paths.make_private(str(tmp_path / "link"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make another user's folder")
def test_a_folder_of_another_user_is_refused(tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with pytest.raises(DaemonError, match="65534"):
        paths.make_private(str(folder))


def test_a_file_in_the_way_is_a_daemon_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DaemonError) as caught:
        paths.make_private(str(tmp_path / "file" / "below"))
    assert "AFIELD_RUN_DIR" in caught.value.hint


@pytest.mark.parametrize("length", [10, 300])
def test_a_socket_is_reached_however_long_its_path_is(tmp_path, length):
    folder = tmp_path
    while len(str(folder)) < length:
        folder = folder / ("d" * 60)
    folder.mkdir(parents=True, exist_ok=True)
    path = str(folder / "daemon.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        with paths.socket_address(path) as address:
            listener.bind(address)
        listener.listen()
        assert os.path.exists(path)
        with paths.socket_address(path) as address:
            client.connect(address)
        listener.accept()[0].close()

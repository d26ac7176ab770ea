"""The log: lines that cannot be forged, rotation by size, 0600."""

import os

from afield.daemon import logs


def test_a_line_cannot_be_forged_and_the_file_is_private(tmp_path):
    path = str(tmp_path / "daemon.log")
    log = logs.Log(path)
    log.info("one\n2026-01-01 info forged \x1b[2J")
    log.debug("argv of a run")
    log.close()
    lines = logs.tail(path, 10)
    assert len(lines) == 1
    assert "\\n" in lines[0]
    assert "\x1b" not in lines[0]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_the_log_is_rotated_and_the_tail_reaches_back(tmp_path):
    path = str(tmp_path / "daemon.log")
    diary = logs.Log(path, size=400)
    for number in range(30):
        diary.info(f"line {number}")
    diary.close()
    assert os.path.getsize(path) <= 400
    assert os.path.getsize(path + ".1") <= 400
    assert sorted(os.listdir(tmp_path)) == ["daemon.log", "daemon.log.1"]
    found = logs.tail(path, 8)
    assert [line.rsplit(" ", 1)[1] for line in found] == [str(number) for number in range(22, 30)]


def test_the_log_goes_on_where_the_last_daemon_stopped(tmp_path):
    path = str(tmp_path / "daemon.log")
    for word in ("first", "second"):
        log = logs.Log(path)
        log.info(word)
        log.close()
    assert len(logs.tail(path, 10)) == 2
    assert logs.tail(path, 0) == []
    assert logs.tail(str(tmp_path / "none"), 5) == []

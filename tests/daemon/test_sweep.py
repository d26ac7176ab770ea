"""What is carried to a place does not pile up there: the longest unused goes first, nothing that somebody uses."""

import asyncio
import fcntl
import os
import subprocess
import sys
import time

import pytest

from afield.daemon import carrying, courier, outside, sweep_there

WHO = b"h-0123456789ab"
DAY = 86400


@pytest.fixture
def root(tmp_path):
    path = os.fsencode(tmp_path) + b"/carried"
    os.makedirs(path + b"/blobs")
    return path


def put(root, name, size=100, *, own=False):
    """Put a helper as the courier does: a content, and a link to it."""
    path = root + b"/" + WHO + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    first = path if own else root + b"/blobs/" + name.replace(b"/", b"-")
    with open(first, "wb") as file:
        file.write(b"x" * size)
    if not own:
        os.link(first, path)
    return path


def files(root):
    return sorted(
        os.path.relpath(os.path.join(where, name), root).decode()
        for where, _, names in os.walk(root)
        for name in names
        if where != root
    )


def entry(age, size, name):
    return [-age, size, [name]]


def test_what_nobody_used_for_two_weeks_goes_and_the_rest_stays(root):
    put(root, b"home/me/tool/a.py")
    sweep_there.prune(root, time.time() + 13 * DAY, set())
    assert len(files(root)) == 2
    sweep_there.prune(root, time.time() + 15 * DAY, set())
    assert files(root) == []
    sweep_there.prune(root, time.time() + 30 * DAY, set())
    assert os.listdir(root) == [b"blobs"]


def test_above_the_limit_the_longest_unused_goes_first_and_never_what_was_used_within_a_day():
    known = [entry(3 * DAY, 60, b"/c"), entry(9 * DAY, 60, b"/a"), entry(3600, 60, b"/d"), entry(5 * DAY, 60, b"/b")]
    assert sweep_there.going(known, 0, set(), 240) == []
    assert sweep_there.going(known, 0, set(), 130) == [b"/a", b"/b"]
    assert sweep_there.going(known, 0, set(), 1) == [b"/a", b"/b", b"/c"]


def test_what_a_process_uses_stays_and_without_a_look_at_processes_the_size_is_no_reason():
    known = [entry(9 * DAY, 60, b"/s/x/a"), entry(8 * DAY, 60, b"/s/y/b"), entry(20 * DAY, 60, b"/s/z/c")]
    assert sweep_there.going(known, 0, {b"/s/x", b"/s/z"}, 1) == [b"/s/y/b"]
    assert sweep_there.going(known, 0, None, 1) == [b"/s/z/c"]


def test_links_share_their_bytes_and_compiled_code_counts_and_goes_with_its_source(root):
    path = put(root, b"t/a.py")
    compiled = put(root, b"t/__pycache__/a.cpython-311.pyc", 50, own=True)
    left = put(root, b"t/__pycache__/gone.cpython-311.pyc", 7, own=True)
    found = sorted((size, sorted(paths)) for _, size, paths in sweep_there.entries(root))
    assert found == [(7, [left]), (150, sorted([path, compiled, root + b"/blobs/t-a.py"]))]


def test_a_used_content_is_young_again_with_its_own_time(root):
    path = put(root, b"t/a.py")
    os.utime(path, (1000000000, 1000000000))
    before = os.stat(path)
    while os.stat(path).st_ctime_ns == before.st_ctime_ns:
        sweep_there.renew(path)
    assert os.stat(path).st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("how", ["argument", "open", "folder"])
def test_a_running_process_is_seen_to_use_it(root, how):
    path = put(root, b"t/a.py")
    code = "import sys; print(1, flush=True); sys.stdin.read()"
    if how == "open":
        code = f"import os; held = open({os.fsdecode(path)!r}); os.unlink('mark'); " + code
    words = [path] if how == "argument" else []
    folder = os.path.dirname(path) if how == "folder" else os.path.dirname(root)
    with open(os.path.join(folder, b"mark"), "w"):
        pass
    argv = [sys.executable, "-c", code, *words]
    with subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        used = sweep_there.in_use(root)
        sweep_there.prune(root, time.time() + 99 * DAY, used)
        process.stdin.close()
    assert os.path.exists(path)
    assert not any((path + b"/").startswith(folder + b"/") for folder in sweep_there.in_use(root))


class Stream:
    """A courier of this machine as the link shows one."""

    closed = False

    def __init__(self, home):
        argv = [sys.executable, "-I", "-S", "-c", courier.program()]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(argv, env={"AFIELD_HOME": home}, stdin=pipe, stdout=pipe)

    async def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    async def read(self):
        return os.read(self.process.stdout.fileno(), 65536)

    async def read_err(self):
        return b""

    def close(self):
        self.closed = True
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(20)


def test_a_courier_sweeps_after_it_has_put_something_and_asks_for_what_was_swept_once_more(tmp_path, wait):
    script = tmp_path / "tool" / "a.py"
    script.parent.mkdir()
    script.write_text("print(1)")
    store, named = carrying.Store(), [outside.Named(os.fsencode(script), outside.SCRIPT)]
    started = []

    async def none(_path):
        return None

    def start(argv):
        assert argv[-1] == courier.program()
        started.append(Stream(str(tmp_path / "home")))
        return started[-1]

    async def run():
        return await carrying.carry(store, named, python=b"python3", start=start, exists=none)

    (_, there) = asyncio.run(run()).pairs[0]
    root = os.fsencode(tmp_path) + b"/home/.cache/afield/carried"
    wait(lambda: os.path.exists(root + b"/swept"), "the sweep")
    with open(root + b"/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the sweep is over
        assert os.path.exists(there)
        sweep_there.prune(root, time.time() + 15 * DAY, set())
    assert not os.path.exists(there)
    assert not asyncio.run(run()).fresh
    assert len(started) == 1
    store._there = {path: (digest, when - carrying.BELIEVED) for path, (digest, when) in store._there.items()}
    assert asyncio.run(run()).fresh
    assert os.path.exists(there)

"""Random edits on both sides, cycles, kills at every step, full disks, wrong clocks, cuts: nothing that was ever written gets lost.

The model (support/hands.py): every content is written once only. After quiet both sides are equal but for conflicts, and each
content is at a path of a side or in the history of a side, unless a user's own hand overwrote or deleted it; only in a history
is none that the other side never had. AFIELD_STEPS (steps of all runs together) makes it the long version.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import crashes
import hypothesis.strategies as st
import pytest
from hands import TIMES, Disk, Hands
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from afield.errors import AfieldError, DiskFull, FilesError, GuardRefused, LinkLost, LinkTimeout
from afield.files import steps as worker_steps
from afield.sync import copied, steps
from afield.sync.resolve import WAYS
from afield.sync.session import Session

STEPS = int(os.environ.get("AFIELD_STEPS", "0"))
SIDES = st.sampled_from(["here", "there"])
NAMES = ["a", "b", "A", "d/a", "d/b", "d/e/a", "e/a", "e"]
PATHS = st.sampled_from(NAMES)
FOLDERS = [*NAMES, "d", "d/e"]
EDITS = st.lists(st.tuples(SIDES, PATHS, st.booleans()), min_size=1, max_size=6)
COUNTS = st.integers(1, 3)
DAY = 86400.0
YEAR = 365 * DAY
SECONDS = 60.0
LONG = 100  # steps of one run of the long version: long enough for a kill, a restart and an undo to meet
# Where a disk can be full: before something is made there, not behind it.
FULL = ["open", "stage", "keep", "place", "publish", "move", "copy", "mode", "store", "restore"]


class SyncMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.top = tempfile.mkdtemp(prefix="sync")
        self.roots = {side: os.path.join(self.top, side) for side in ("here", "there")}
        for root in self.roots.values():
            os.mkdir(root)
        self.disk = Disk(self.roots["there"])
        self.hands = Hands(self.roots)
        self.session = None
        # What the next worker of a side does at which step, and how wrong the clocks are.
        self.fate = {}
        self.ahead = {"here": 0.0, "there": 0.0}

    def run(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, SECONDS))

    def make_session(self):
        def maker(side):
            return lambda: crashes.odd_worker(*self.fate.pop(side, ("", 1, "kill")), self.ahead[side])

        self.session = Session(maker("here"), maker("there"), crashes.settings_of(self.top))
        store = self.session.picture.store
        remember = store.remember

        def noted(rows, gone):
            remember(rows, gone)
            self.hands.both_had(row.node.content for _, row in rows)

        store.remember = noted

    @initialize(paths=st.lists(st.tuples(SIDES, PATHS), max_size=6))
    def begin(self, paths):
        for side, path in paths:
            self.hands.write(side, path)
        self.make_session()
        self.run(self.session.start())

    # -- what users do

    @rule(side=SIDES, path=PATHS)
    def write(self, side, path):
        self.hands.write(side, path)

    @rule(side=SIDES, path=PATHS)
    def edit_in_place(self, side, path):
        self.hands.edit(side, path)

    @rule(side=SIDES, path=PATHS, seconds=st.sampled_from(TIMES))
    def touch(self, side, path, seconds):
        self.hands.touch(side, path, seconds)

    @rule(side=SIDES, path=PATHS)
    def delete(self, side, path):
        self.hands.delete(side, path)

    @rule(side=SIDES, path=st.sampled_from(["d", "d/e", "e"]))
    def delete_folder(self, side, path):
        self.hands.delete(side, path)

    @rule(side=SIDES, path=st.sampled_from(FOLDERS), to=PATHS)
    def rename(self, side, path, to):
        self.hands.rename(side, path, to)

    @rule(side=SIDES, path=st.sampled_from(FOLDERS), to=st.sampled_from(["c", "e", "f/a", "d/c"]))
    def copy(self, side, path, to):
        self.hands.copy(side, path, to)

    @rule(side=SIDES, path=PATHS)
    def change_mode(self, side, path):
        self.hands.chmod(side, path)

    @rule(side=SIDES, path=PATHS)
    def link(self, side, path):
        self.hands.link(side, path)

    @rule(side=SIDES, path=PATHS)
    def put(self, side, path):
        """As `afield put` does: what stands there goes to the history."""

        async def body():
            where, text = self.hands.at(side, path), self.hands.fresh()
            if os.path.islink(where):
                return
            with contextlib.suppress(AfieldError):
                request = self.session.picture.side(side).asked().start("store", {"path": os.fsencode(where)})
                request.send_data(text.encode())
                request.send_end()
                await request.wait()
                self.hands.both_had_all()
                self.hands.written.add(text)

        self.run(body())

    # -- what the world does

    @rule()
    def cycle(self):
        self.run(self.come_to_rest())
        self.check()

    @rule(side=SIDES)
    def kill(self, side):
        endpoint = self.session.picture.side(side).endpoint
        if endpoint is not None and endpoint.channel.process is not None:
            os.kill(endpoint.channel.process.pid, signal.SIGKILL)

    @rule(side=SIDES)
    def cut(self, side):
        """The way to the worker ends; what it has got already it still does."""
        endpoint = self.session.picture.side(side).endpoint
        if endpoint is not None:
            endpoint.channel._finish("cut")

    @rule(edits=EDITS, killed=st.none() | SIDES)
    def edit_while_it_works(self, edits, killed):
        async def body():
            work = self.loop.create_task(self.come_to_rest())
            for side, path, is_write in edits:
                await asyncio.sleep(0.001)
                (self.hands.write if is_write else self.hands.delete)(side, path)
            if killed:
                self.kill(killed)
            await work

        self.run(body())

    @rule(step=st.sampled_from(steps.STEPS), count=COUNTS, edits=EDITS)
    def edit_at_a_step(self, step, count, edits):
        left = [count]

        def hook(name):
            left[0] -= name == step
            if name == step and not left[0]:
                self.edit(edits)

        self.edit(edits[:2])
        steps.hook = hook
        try:
            self.run(self.come_to_rest())
        finally:
            steps.hook = None
        # Quiet is promised for what was there before it was asked for.
        self.run(self.come_to_rest())
        self.check()

    def edit(self, edits):
        for side, path, is_write in edits:
            (self.hands.write if is_write else self.hands.delete)(side, path)

    @rule(side=SIDES, step=st.sampled_from(worker_steps.STEPS), count=COUNTS, edits=EDITS)
    def worker_ends_at_a_step(self, side, step, count, edits):
        self.meet(side, (step, count, "kill"), edits)

    @rule(side=SIDES, step=st.sampled_from(FULL), count=COUNTS, edits=EDITS)
    def disk_is_full_at_a_step(self, side, step, count, edits):
        self.meet(side, (step, count, "full"), edits)

    def meet(self, side, fate, edits):
        self.fate[side] = fate
        self.kill(side)
        self.edit(edits)
        self.run(self.come_to_rest())
        self.fate.pop(side, None)
        self.check()

    @rule(step=st.sampled_from(steps.STEPS), count=COUNTS, edits=EDITS)
    def all_ends_at_a_step(self, step, count, edits):
        """A process with a session of its own is killed; its workers end by themselves, or go on for a moment."""
        self.run(self.session.close())
        self.edit(edits[1:])
        words = [sys.executable, crashes.__file__, self.top, step, str(count)]
        with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
            self.edit(edits[:1])
            error = process.communicate(timeout=SECONDS)[1]
        assert process.returncode in (0, -signal.SIGKILL), error.decode()
        self.hands.both_had_all()
        self.make_session()
        self.run(self.start())
        self.run(self.come_to_rest())
        self.check()

    @rule()
    def fill_the_disk(self):
        self.disk.fill()

    @rule(times=COUNTS)
    def store_is_full(self, times):
        """What was agreed on cannot be written for a while; both sides are ahead of it then."""
        store, left = self.session.picture.store, [times]
        remember = store.remember

        def failing(rows, gone):
            left[0] -= 1
            if left[0] >= 0:
                raise DiskFull("the disk is full here")
            return remember(rows, gone)

        store.remember = failing

    @rule(side=SIDES, ahead=st.sampled_from([0.0, -20 * DAY, 20 * DAY, -3600.0, 3600.0, -40 * YEAR, 40 * YEAR]))
    def clock_jumps(self, side, ahead):
        """The next worker of that side sees it."""
        self.ahead[side] = ahead

    @rule()
    def restart(self):
        self.run(self.session.close())
        self.make_session()
        self.run(self.start())

    async def start(self):
        for _ in range(100):
            try:
                await self.session.start()
            except GuardRefused:
                self.session.confirm()
            except (FilesError, LinkLost):
                self.disk.free()
                await asyncio.sleep(0.01)
            else:
                return
        raise AssertionError(f"it does not start: {self.session.reason}")

    @rule(how=st.sampled_from(WAYS), markers=st.booleans())
    def settle_all(self, how, markers):
        async def body():
            await self.come_to_rest()
            self.hands.both_had_all()
            with contextlib.suppress(LinkLost, GuardRefused, FilesError):
                await self.session.settle([c.path for c in self.session.conflicts()], how, markers=markers)

        self.run(body())

    @rule(path=st.none() | PATHS)
    def undo(self, path):
        async def body():
            await self.come_to_rest()
            self.hands.both_had_all()
            with contextlib.suppress(FilesError, LinkLost):
                await self.session.undo(None if path is None else path.encode())

        self.run(body())

    async def come_to_rest(self):
        for tries in range(1000):
            if tries == 3:
                self.disk.free()
            try:
                await self.session.flush(5.0)
            except GuardRefused:
                self.session.confirm()
            except (LinkLost, LinkTimeout, FilesError):
                await asyncio.sleep(0.01)
            else:
                if self.session.picture.quiet and not self.session.status().problems:
                    return
                await asyncio.sleep(0.01)
        raise AssertionError(f"it does not come to rest: {self.session.status()}")

    # -- what must hold

    def check(self):
        trees, kept = self.hands.contents()
        conflicts = [os.fsdecode(c.path) for c in self.session.conflicts()]

        def settled(path):
            return not any(path == top or path.startswith(top + "/") for top in conflicts)

        here = {path: found for path, found in trees["here"].items() if settled(path)}
        there = {path: found for path, found in trees["there"].items() if settled(path)}
        assert here == there, f"conflicts: {conflicts}"
        lost = self.hands.lost(kept)
        assert not lost, f"lost: {lost}"
        unseen = self.hands.set_aside(trees, kept)
        assert not unseen, f"written over unseen: {unseen}"

    def teardown(self):
        try:
            if self.session is not None:
                self.run(self.come_to_rest())
                self.check()
        finally:
            if self.session is not None:
                self.run(self.session.close())
            self.run(self.loop.shutdown_default_executor())
            self.loop.close()
            self.disk.close()
            shutil.rmtree(self.top)


@pytest.mark.slow
@pytest.mark.timeout(0 if STEPS else 500)
def test_nothing_is_lost_whatever_happens(monkeypatch):
    from hypothesis.stateful import run_state_machine_as_test

    monkeypatch.setattr(copied, "LEAST", 0)  # the contents are small
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        SyncMachine,
        settings=settings(
            max_examples=max(STEPS // LONG, 1) if STEPS else 30,
            stateful_step_count=LONG if STEPS else 25,
            derandomize=not STEPS,
            deadline=None,
            suppress_health_check=checks,
            print_blob=True,
        ),
    )

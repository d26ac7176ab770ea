"""Random edits on both sides, cycles, kills: nothing that was ever written gets lost, and quiet sides are equal.

The model: every content is written once only. After quiet each content is at a path of a side or in the history of a
side, unless a user's own hand overwrote or deleted it. AFIELD_STEPS (steps of all runs together) makes it the long version.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from afield.errors import FilesError, GuardRefused, LinkLost, LinkTimeout
from afield.sync.channel import local_worker
from afield.sync.resolve import WAYS
from afield.sync.session import Session, Settings

STEPS = int(os.environ.get("AFIELD_STEPS", "0"))
SIDES = st.sampled_from(["here", "there"])
NAMES = ["a", "b", "A", "d/a", "d/b", "d/e/a", "e/a", "e"]
PATHS = st.sampled_from(NAMES)
SECONDS = 30.0
LONG = 100  # steps of one run of the long version: long enough for a kill, a restart and an undo to meet


class SyncMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.top = tempfile.mkdtemp(prefix="sync")
        self.roots = {side: os.path.join(self.top, side) for side in ("here", "there")}
        for root in self.roots.values():
            os.mkdir(root)
        self.written = set()
        self.dropped = set()
        self.session = None

    def run(self, work):
        return self.loop.run_until_complete(asyncio.wait_for(work, SECONDS))

    def make_session(self):
        here, there = (os.fsencode(self.roots[side]) for side in ("here", "there"))
        chosen = Settings(here=here, there=there, place="local://test", store=os.path.join(self.top, "base.db"))
        self.session = Session(local_worker, local_worker, chosen)

    @initialize(paths=st.lists(st.tuples(SIDES, PATHS), max_size=6))
    def begin(self, paths):
        for side, path in paths:
            self.user_write(side, path)
        self.make_session()
        self.run(self.session.start())

    # -- what users do: plain files, no help

    def at(self, side, path):
        return os.path.join(self.roots[side], path)

    def drop(self, top):
        """Note that a user's hand takes away what is at and below top."""
        if os.path.islink(top):
            return
        if os.path.isdir(top):
            for name in os.listdir(top):
                self.drop(os.path.join(top, name))
        elif os.path.exists(top):
            with open(top) as file:
                self.dropped.add(file.read())

    def user_write(self, side, path):
        where = self.at(side, path)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(where), exist_ok=True)
            text = f"content {len(self.written)}"
            with contextlib.suppress(FileNotFoundError), open(where) as file:
                self.dropped.add(file.read())
            # In one step, so that a half-written file is no case of its own here (test_live has it).
            with open(self.at(side, ".part"), "w") as file:
                file.write(text)
            self.written.add(text)
            try:
                os.replace(self.at(side, ".part"), where)
            except OSError:
                os.unlink(self.at(side, ".part"))
                self.dropped.add(text)

    def user_delete(self, side, path):
        where = self.at(side, path)
        with contextlib.suppress(OSError):
            self.drop(where)
            if os.path.isdir(where) and not os.path.islink(where):
                shutil.rmtree(where)
            else:
                os.unlink(where)

    def user_rename(self, side, path, to):
        source, target = self.at(side, path), self.at(side, to)
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(source) and not os.path.isdir(target):
                self.drop(target)
            os.rename(source, target)

    @rule(side=SIDES, path=PATHS)
    def write(self, side, path):
        self.user_write(side, path)

    @rule(side=SIDES, path=PATHS)
    def delete(self, side, path):
        self.user_delete(side, path)

    @rule(side=SIDES, path=st.sampled_from(["d", "d/e", "e"]))
    def delete_folder(self, side, path):
        self.user_delete(side, path)

    @rule(side=SIDES, path=st.sampled_from([*NAMES, "d", "d/e"]), to=PATHS)
    def rename(self, side, path, to):
        self.user_rename(side, path, to)

    @rule(side=SIDES, path=PATHS)
    def change_mode(self, side, path):
        where = self.at(side, path)
        if os.path.isfile(where) and not os.path.islink(where):
            os.chmod(where, os.stat(where).st_mode ^ 0o100)

    @rule(side=SIDES, path=PATHS)
    def link(self, side, path):
        with contextlib.suppress(OSError):
            os.symlink("nowhere", self.at(side, path))

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

    @rule(edits=st.lists(st.tuples(SIDES, PATHS, st.booleans()), min_size=1, max_size=6), killed=st.none() | SIDES)
    def edit_while_it_works(self, edits, killed):
        async def body():
            work = self.loop.create_task(self.come_to_rest())
            for side, path, is_write in edits:
                await asyncio.sleep(0.001)
                (self.user_write if is_write else self.user_delete)(side, path)
            if killed:
                self.kill(killed)
            await work

        self.run(body())

    @rule()
    def restart(self):
        self.run(self.session.close())
        self.make_session()
        self.run(self.start())

    async def start(self):
        try:
            await self.session.start()
        except GuardRefused:
            self.session.confirm()
            await self.session.start()

    @rule(how=st.sampled_from(WAYS), markers=st.booleans())
    def settle_all(self, how, markers):
        async def body():
            await self.come_to_rest()
            with contextlib.suppress(LinkLost, GuardRefused):
                await self.session.settle([c.path for c in self.session.conflicts()], how, markers=markers)

        self.run(body())

    @rule(path=st.none() | PATHS)
    def undo(self, path):
        async def body():
            await self.come_to_rest()
            with contextlib.suppress(FilesError, LinkLost):
                await self.session.undo(None if path is None else path.encode())

        self.run(body())

    async def come_to_rest(self):
        while True:
            try:
                await self.session.flush(5.0)
            except GuardRefused:
                self.session.confirm()
            except (LinkLost, LinkTimeout):
                await asyncio.sleep(0.01)
            else:
                if self.session.picture.quiet and not self.session.status().problems:
                    return
                await asyncio.sleep(0.01)

    # -- what must hold

    def contents(self):
        """Path -> what is there, per side; and all contents in trees and histories."""
        trees, kept = {}, set()
        for side, root in self.roots.items():
            tree = trees[side] = {}
            for folder, folders, files in os.walk(root):
                inside = os.path.relpath(folder, root)
                for name in [*folders, *files]:
                    path = os.path.normpath(os.path.join(inside, name))
                    full = os.path.join(folder, name)
                    if os.path.islink(full):
                        found = ("l", os.readlink(full))
                    elif os.path.isdir(full):
                        found = ("d",)
                    else:
                        with open(full, errors="replace") as file:
                            text = file.read()
                        found = ("f", text, bool(os.stat(full).st_mode & 0o100))
                        if not path.startswith(".afield") or path.startswith(".afield/history/"):
                            kept.add(text)
                    if path != ".afield" and not path.startswith(".afield/"):
                        tree[path] = found
        return trees, kept

    def check(self):
        trees, kept = self.contents()
        conflicts = [os.fsdecode(c.path) for c in self.session.conflicts()]

        def settled(path):
            return not any(path == top or path.startswith(top + "/") for top in conflicts)

        here = {path: found for path, found in trees["here"].items() if settled(path)}
        there = {path: found for path, found in trees["there"].items() if settled(path)}
        assert here == there, f"conflicts: {conflicts}"
        lost = self.written - self.dropped - kept
        assert not lost, f"lost: {lost}"

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
            shutil.rmtree(self.top)


@pytest.mark.slow
@pytest.mark.timeout(0 if STEPS else 180)
def test_nothing_is_lost_whatever_happens():
    from hypothesis.stateful import run_state_machine_as_test

    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        SyncMachine,
        settings=settings(
            max_examples=max(STEPS // LONG, 1) if STEPS else 40,
            stateful_step_count=LONG if STEPS else 25,
            derandomize=not STEPS,
            deadline=None,
            suppress_health_check=checks,
            print_blob=True,
        ),
    )

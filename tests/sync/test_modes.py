"""Each mode between two real trees, with random edits on both sides: what it may never do, and what it must have done."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afield.errors import GuardRefused
from afield.sync.channel import local_worker
from afield.sync.session import Session
from afield.sync.settings import Settings
from afield.tree.modes import MODES

NAMES = ["a", "b", "d/x", "d/y", "runs/1", "runs/deep/2"]
edits = st.lists(
    st.tuples(
        st.sampled_from(["here", "there"]), st.sampled_from(NAMES), st.sampled_from(["one", "two", "three", None])
    ),
    min_size=1,
    max_size=6,
)
rounds = st.lists(edits, min_size=1, max_size=3)
STEPS = int(os.environ.get("AFIELD_STEPS", "0")) // 20 or 8


def edit(root, name, text):
    path = root / name
    if text is None:
        path.unlink(missing_ok=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def contents(root):
    found = {}
    for top, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != ".afield"]
        for name in files:
            path = Path(top, name)
            found[str(path.relative_to(root))] = path.read_text()
    return found


def check(mode, before, after, agreed, others):
    """The laws for one path: ``before`` and ``after`` are (here, there), ``agreed`` what both had last, ``others`` all texts that are kept."""
    here, there = before
    now_here, now_there = after
    if mode.startswith("push"):
        assert now_here == here, "push never changes what is here"
        if here is not None:
            assert now_there == here
        elif mode == "push-exact":
            assert now_there is None
        elif there != agreed:
            assert now_there == there, "push removes nothing that was changed or made there"
    elif mode == "pull":
        assert now_there == there, "pull never changes what is there"
        if there is not None:
            assert now_here == there
        elif here != agreed:
            assert now_here == here, "pull removes nothing that was changed or made here"
    elif here in (agreed, there) or there == agreed:
        assert now_here == now_there == (there if here == agreed else here)
    elif mode == "two-way-here-wins":
        assert now_here == now_there == here
    elif mode == "two-way-there-wins":
        assert now_here == now_there == there
    elif here is None or there is None:
        assert now_here == now_there == (here or there), "an edit beats a removal"
    else:
        assert (now_here, now_there) == (here, there), "a conflict leaves both"
    for text in {here, there} - {None}:
        assert text in others, (text, "is lost")


def kept(root):
    folder = root / ".afield" / "history"
    return {path.read_text() for path in folder.rglob("*") if path.is_file()} if folder.exists() else set()


async def run(top, mode, pull, plan):
    here, there = top / "here", top / "there"
    here.mkdir()
    there.mkdir()
    made = Settings(
        here=os.fsencode(here),
        there=os.fsencode(there),
        place="local://",
        store=str(top / "base.db"),
        mode=mode,
        pull=pull,
    )
    session = Session(local_worker, local_worker, made)
    try:
        await session.start()
        agreed = {}
        for some in plan:
            # Together, as far as the sync can see: it holds still meanwhile.
            async with session._lock:
                for side, name, text in some:
                    edit(top / side, name, text)
                before = contents(here), contents(there)
            try:
                await session.flush()
            except GuardRefused:
                session.confirm()
                await session.flush()
            after = contents(here), contents(there)
            others = {text for tree in after for text in tree.values()} | kept(here) | kept(there)
            for name in NAMES:
                holds = "pull" if pull and name.startswith("runs/") else mode
                pair = [tuple(tree.get(name) for tree in trees) for trees in (before, after)]
                check(holds, *pair, agreed.get(name), others)
                if pair[1][0] == pair[1][1]:
                    agreed[name] = pair[1][0]
    finally:
        await session.close()


@pytest.mark.parametrize("pull", [(), ("runs/**",)], ids=["plain", "with a rule"])
@pytest.mark.parametrize("mode", list(MODES))
def test_what_a_mode_may_never_do(mode, pull):
    @settings(max_examples=STEPS, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rounds)
    def body(plan):
        top = Path(tempfile.mkdtemp(prefix="af-modes-"))
        try:
            asyncio.run(run(top, mode, pull, plan))
        finally:
            shutil.rmtree(top)

    body()

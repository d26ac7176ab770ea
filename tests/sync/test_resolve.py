"""Settling conflicts: a side, both, or a merge; every content is on a side or in the history afterwards."""

import asyncio
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afield.errors import UsageError, WrongKind
from afield.sync.channel import local_worker
from afield.sync.resolve import other_name
from afield.sync.session import Session
from afield.sync.settings import Settings

BASE = b"one\ntwo\nthree\nfour\nfive\n"


async def clash(pair, session, changes):
    """Make conflicts: name -> (content here, content there), before either change is seen."""
    session.suspend("test")
    for name, (here, there) in changes.items():
        for side, content in ((pair.here, here), (pair.there, there)):
            if content is None:
                (side / name).unlink()
            else:
                (side / name).write_bytes(content)
    session.resume()
    await session.flush()


def test_a_merge_takes_both_changes_and_keeps_both_versions(pair):
    here, there = BASE.replace(b"one", b"ONE"), BASE.replace(b"five", b"FIVE")

    async def body():
        (pair.here / "x").write_bytes(BASE)
        async with pair.up() as session:
            await session.texts.settled()
            await clash(pair, session, {"x": (here, there)})
            done = await session.settle([b"x"], "merge")
            assert (done.settled, done.open, done.marked) == ([b"x"], [], [])
            merged = b"ONE\ntwo\nthree\nfour\nFIVE\n"
            assert pair.equal() == {b"x": ("f", merged, False)}
            assert sorted((event.side, event.path) for event in await session.history()) == [
                ("here", b"x"),
                ("there", b"x"),
            ]
            assert session.status().conflicts_total == 0

    asyncio.run(body())


def test_what_both_changed_stays_in_conflict_and_says_so_unless_markers_are_asked_for(pair):
    async def body():
        (pair.here / "x").write_bytes(BASE)
        async with pair.up() as session:
            await session.texts.settled()
            await clash(pair, session, {"x": (BASE.replace(b"two", b"2"), BASE.replace(b"two", b"zwei"))})
            done = await session.settle([b"x"], "merge")
            assert done.settled == []
            assert "both sides changed" in done.open[0][1]
            assert (pair.here / "x").read_bytes() == BASE.replace(b"two", b"2")
            assert (pair.there / "x").read_bytes() == BASE.replace(b"two", b"zwei")
            done = await session.settle([b"x"], "merge", markers=True)
            assert (done.settled, done.marked) == ([b"x"], [b"x"])
            assert b"<<<<<<< here\n2\n=======\nzwei\n>>>>>>> there\n" in pair.equal()[b"x"][1]

    asyncio.run(body())


def test_the_executable_bit_is_merged_too(pair):
    async def body():
        (pair.here / "x").write_bytes(BASE)
        async with pair.up() as session:
            await session.texts.settled()
            session.suspend("test")
            (pair.here / "x").write_bytes(b"zero\n" + BASE)
            (pair.there / "x").write_bytes(BASE + b"six\n")
            (pair.there / "x").chmod(0o755)
            session.resume()
            await session.flush()
            await session.settle([b"x"], "merge")
            assert pair.equal() == {b"x": ("f", b"zero\n" + BASE + b"six\n", True)}

    asyncio.run(body())


def test_binaries_links_and_unknown_bases_are_not_merged_but_stay(pair):
    async def body():
        (pair.here / "bin").write_bytes(b"\0base")
        (pair.here / "link").symlink_to("a")
        async with pair.up() as session:
            await session.texts.settled()
            session.suspend("test")
            (pair.here / "bin").write_bytes(b"\0here")
            (pair.there / "bin").write_bytes(b"\0there")
            for side, target in ((pair.here, "b"), (pair.there, "c")):
                (side / "link").unlink()
                (side / "link").symlink_to(target)
                (side / "new").write_text(target)
            session.resume()
            await session.flush()
            done = await session.settle([b"bin", b"link", b"new"], "merge")
            assert done.settled == []
            why = dict(done.open)
            assert "binary" in why[b"bin"]
            assert "two files" in why[b"link"]
            assert "no text in common" in why[b"new"]
            assert len(session.conflicts()) == 3

    asyncio.run(body())


def test_a_base_that_nothing_has_any_more_is_said(pair):
    async def body():
        (pair.here / "x").write_bytes(BASE)
        async with pair.up() as session:
            await session.texts.settled()
        os.unlink(str(pair.store) + ".texts")
        (pair.here / "x").write_bytes(b"zero\n" + BASE)
        (pair.there / "x").write_bytes(BASE + b"six\n")
        async with pair.up() as session:
            await session.texts.settled()
            done = await session.settle([b"x"], "merge")
            assert "not known any more" in done.open[0][1]
            done = await session.settle([b"x"], "merge", markers=True)
            assert done.marked == [b"x"]
            text = pair.equal()[b"x"][1]
            for line in [*BASE.splitlines(), b"zero", b"six"]:
                assert line in text

    asyncio.run(body())


def test_an_agreed_text_that_changed_here_already_is_kept_from_there(pair):
    async def body():
        (pair.here / "x").write_bytes(BASE)
        async with pair.up() as session:
            await session.texts.settled()
        os.unlink(str(pair.store) + ".texts")
        (pair.here / "x").write_bytes(b"zero\n" + BASE)
        async with pair.up(mode="pull") as session:
            await session.texts.settled()
            assert await session.texts.base_of(b"x") == BASE

    asyncio.run(body())


def test_the_base_is_found_in_git_when_the_store_was_lost(pair):
    async def body():
        (pair.here / "x").write_bytes(BASE)
        for words in (
            ["init", "-q"],
            ["add", "x"],
            ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "m"],
        ):
            subprocess.run(["git", *words], cwd=pair.here, check=True)
        async with pair.up() as session:
            await session.texts.settled()
        os.unlink(str(pair.store) + ".texts")
        (pair.here / "x").write_bytes(b"zero\n" + BASE)
        (pair.there / "x").write_bytes(BASE + b"six\n")
        async with pair.up() as session:
            assert (await session.settle([b"x"], "merge")).settled == [b"x"]
            for side in (pair.here, pair.there):
                assert (side / "x").read_bytes() == b"zero\n" + BASE + b"six\n"

    asyncio.run(body())


def test_both_keeps_both_under_two_names(pair):
    async def body():
        async with pair.up() as session:
            await clash(pair, session, {"notes.md": (b"mine", b"theirs"), "notes.there.md": (b"taken", b"taken")})
            done = await session.settle([b"notes.md"], "both")
            assert done.renamed == [(b"notes.md", b"notes.there-2.md")]
            await session.flush()
            assert pair.equal() == {
                b"notes.md": ("f", b"mine", False),
                b"notes.there.md": ("f", b"taken", False),
                b"notes.there-2.md": ("f", b"theirs", False),
            }
            assert session.conflicts() == []

    asyncio.run(body())


@pytest.mark.parametrize("folder", ["here", "there"])
@pytest.mark.parametrize("how", ["here", "there", "both", "merge"])
def test_a_file_against_a_folder_can_be_settled_each_way(pair, folder, how):
    file = "there" if folder == "here" else "here"

    async def body():
        async with pair.up() as session:
            session.suspend("test")
            (pair.side(file) / "x").write_text("file")
            (pair.side(folder) / "x").mkdir()
            (pair.side(folder) / "x" / "inner").write_text("i")
            session.resume()
            await session.flush()
            done = await session.settle([b"x"], how)
            await session.flush()
            if how == "merge":
                assert done.settled == []
                assert "file stands against a folder" in done.open[0][1]
                return
            assert done.settled == [b"x"]
            tree = pair.equal()
            if how == "both":
                assert set(tree) == {b"x", b"x/inner", b"x." + file.encode()}
            elif how == folder:
                assert set(tree) == {b"x", b"x/inner"}
                assert [event.path for event in await session.history()] == [b"x"]
                with pytest.raises(WrongKind) as caught:
                    await session.undo(b"x")
                assert "remove the folder" in caught.value.hint
            else:
                assert tree == {b"x": ("f", b"file", False)}
                assert [event.path for event in await session.history()] == [b"x/inner"]
                await session.undo(b"x")
                await session.flush()
                assert set(pair.equal()) == {b"x", b"x/inner"}
                kept = await session.history()
                assert (b"x", "removed", 4) in [(event.path, event.action, event.size) for event in kept]

    asyncio.run(body())


@pytest.mark.parametrize("becomes", ["nothing", "folder"])
@pytest.mark.parametrize("gone", ["here", "there"])
def test_a_folder_that_stood_against_a_file_comes_whole_once_the_file_has_gone(pair, gone, becomes):
    other = "there" if gone == "here" else "here"

    async def body():
        async with pair.up() as session:
            session.suspend("test")
            (pair.side(gone) / "x").write_text("file")
            (pair.side(other) / "x" / "deep").mkdir(parents=True)
            (pair.side(other) / "x" / "deep" / "inner").write_text("i")
            session.resume()
            await session.flush()
            assert [conflict.kind for conflict in session.conflicts()] == ["clash"]
            (pair.side(gone) / "x").unlink()
            if becomes == "folder":
                (pair.side(gone) / "x").mkdir()
            await session.flush()
            assert set(pair.equal()) == {b"x", b"x/deep", b"x/deep/inner"}

    asyncio.run(body())


def test_settling_a_folder_settles_what_is_below_even_if_that_is_most_of_the_project(pair):
    async def body():
        async with pair.up() as session:
            session.suspend("test")
            (pair.here / "big").write_text("file")
            (pair.there / "big").mkdir()
            for place in range(300):
                (pair.there / "big" / str(place)).write_text("x")
            session.resume()
            await session.flush()
            assert (await session.settle([b"big"], "here")).settled == [b"big"]
            assert pair.equal() == {b"big": ("f", b"file", False)}

    asyncio.run(body())


def test_an_unknown_way_is_an_error(pair):
    async def body():
        async with pair.up() as session:
            with pytest.raises(UsageError):
                await session.settle([b"x"], "newest")

    asyncio.run(body())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (b"a.txt", b"a.there.txt"),
        (b"d.x/.env", b"d.x/.env.there"),
        (b"d/Makefile", b"d/Makefile.there"),
        (b"a.tar.gz", b"a.tar.there.gz"),
    ],
)
def test_the_other_name_keeps_the_suffix(path, name):
    assert other_name(path, "there", set().__contains__) == name
    assert other_name(path, "there", {name}.__contains__) == name.replace(b"there", b"there-2")


CONTENT = st.sampled_from([BASE, b"zero\n" + BASE, BASE + b"six\n", BASE.replace(b"two", b"2"), b"\0bin", b""])


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    files=st.dictionaries(
        st.sampled_from("abc"), st.tuples(st.none() | CONTENT, CONTENT | st.none(), CONTENT | st.none()), min_size=1
    ),
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["here", "there", "both", "merge"]), st.booleans()),
        min_size=1,
        max_size=4,
    ),
)
def test_nothing_is_lost_however_conflicts_are_settled(files, steps):
    async def body(folder):
        here, there = Path(folder, "here"), Path(folder, "there")
        here.mkdir()
        for name, (old, _, _) in files.items():
            if old is not None:
                (here / name).write_bytes(old)
        made = Settings(
            here=os.fsencode(here), there=os.fsencode(there), place="local://test", store=folder + "/state/base"
        )
        session = Session(local_worker, local_worker, made)
        await session.start()
        try:
            await session.texts.settled()
            session.suspend("test")
            wanted = set()
            for name, (old, one, other) in files.items():
                for side, content in ((here, one), (there, other)):
                    if content is not None:
                        (side / name).write_bytes(content)
                        wanted.add(content)
                    elif old is not None:
                        (side / name).unlink()
            session.resume()
            await session.flush()
            for name, how, markers in steps:
                await session.settle([name.encode()], how, markers=markers)
            await session.flush()
            kept = {
                path.read_bytes() for path in Path(folder).rglob("*") if path.is_file() and "state" not in path.parts
            }
            assert {hashlib.sha256(content).digest() for content in wanted} <= {
                hashlib.sha256(content).digest() for content in kept
            }
        finally:
            await session.close()

    with tempfile.TemporaryDirectory(prefix="af-") as folder:
        asyncio.run(body(folder))

"""What is told about a path and about a folder is what is so, and asking changes nothing."""

import asyncio
import os

import pytest

from afield.errors import NoSuchFile
from afield.sync.compare import compare
from afield.sync.explain import why
from afield.sync.versions import versions


def quiet(session):
    """Keep the session from carrying over what a test looks at."""
    session.suspend("test")


def test_the_state_of_a_path_is_one_word_with_its_reasons(pair):
    async def body():
        (pair.here / ".gitignore").write_text("*.log\n")
        for name in ("same", "edited", "gone", "both"):
            (pair.here / name).write_text(name)
        async with pair.up() as session:
            quiet(session)
            (pair.here / "edited").write_text("new here")
            (pair.there / "gone").unlink()
            (pair.here / "fresh").write_text("x")
            (pair.here / "both").write_text("1")
            (pair.there / "both").write_text("2")
            (pair.here / "a.log").write_text("x")
            told = {name: await why(session, name.encode()) for name in ("same", "edited", "gone", "fresh", "both")}
            assert {name: (item["state"], item["changed"]) for name, item in told.items()} == {
                "same": ("same", None),
                "edited": ("pending", "here"),
                "gone": ("pending", "there"),
                "fresh": ("pending", "here"),
                "both": ("conflict", "both"),
            }
            assert told["edited"]["next"] == [{"side": "there", "action": "replace"}]
            assert told["gone"]["next"] == [{"side": "here", "action": "remove"}]
            assert told["fresh"]["next"] == [{"side": "there", "action": "add"}]
            assert told["edited"]["here"]["size"] == 8
            assert told["edited"]["base"]["size"] == 6
            ignored = await why(session, b"a.log")
            assert ignored["state"] == "ignored"
            assert (ignored["rules"]["here"]["rule"], ignored["rules"]["here"]["source"]) == (b"*.log", ".gitignore")
            assert (ignored["here"]["kind"], ignored["here"]["size"], ignored["there"]) == ("f", 1, None)
            assert (await why(session, b"never"))["state"] == "absent"
            assert (pair.there / "edited").read_text() == "edited"
            session.resume()
            await session.flush()
            assert (await why(session, b"edited"))["state"] == "same"
            assert [event["action"] for event in (await why(session, b"edited"))["history"]] == ["replaced"]
            assert (pair.there / "fresh").read_text() == "x"

    asyncio.run(body())


def test_what_a_mode_lets_differ_is_left(pair):
    async def body():
        pair.there.mkdir()
        (pair.there / "theirs").write_text("t")
        async with pair.up(mode="push") as session:
            assert (await why(session, b"theirs"))["state"] == "left"

    asyncio.run(body())


@pytest.mark.parametrize("is_up", [True, False])
def test_compare_names_what_differs_and_changes_nothing(pair, is_up):
    async def body():
        (pair.here / "d").mkdir()
        for name in ("same", "edited", "bit", "d/inner", "other"):
            (pair.here / name).write_text(name)
        async with pair.up() as session:
            quiet(session)
            (pair.there / "edited").write_text("EDITED")
            (pair.there / "bit").chmod(0o755)
            (pair.here / "d" / "mine").write_text("m")
            (pair.there / "theirs").write_text("t")
            (pair.there / "other").unlink()
            (pair.there / "other").mkdir()
            os.utime(pair.here / "same", (1, 1))
            if is_up:
                found = await compare(session)
                part = await compare(session, b"d")
                with pytest.raises(NoSuchFile):
                    await compare(session, b"nowhere")
        if not is_up:
            before = pair.tree("here"), pair.tree("there")
            session = pair.session()
            try:
                found = await compare(session)
                part = await compare(session, b"d")
            finally:
                await session.close()
            assert (pair.tree("here"), pair.tree("there")) == before
        assert [(row["path"], row["how"], row["changed"]) for row in found["rows"]] == [
            (b"bit", "mode", "there"),
            (b"d/mine", "only-here", "here"),
            (b"edited", "content", "there"),
            (b"other", "kind", "there"),
            (b"theirs", "only-there", "there"),
        ]
        assert found["same"] == 2
        assert [row["path"] for row in part["rows"]] == [b"d/mine"]

    asyncio.run(body())


def test_the_versions_of_a_path_come_with_their_texts(pair):
    async def body():
        (pair.here / "x").write_text("base")
        (pair.here / "bin").write_bytes(b"\0")
        async with pair.up() as session:
            await session.texts.settled()
            quiet(session)
            (pair.here / "x").write_text("mine")
            (pair.there / "x").write_text("theirs")
            session.resume()
            await session.flush()
            told = await versions(session, b"x")
            assert (told["conflict"], told["here"]["text"], told["there"]["text"]) == ("edit", b"mine", b"theirs")
            assert told["base"]["text"] == b"base"
            told = await versions(session, b"bin")
            assert (told["here"]["text"], told["here"]["why"]) == (None, "it is binary")
            told = await versions(session, b"absent")
            assert (told["here"], told["there"], told["base"]) == (None, None, None)

    asyncio.run(body())

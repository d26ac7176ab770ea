"""Any name and any link survives: unicode, newlines, bytes that are no text, 255 bytes, loops, ways out of the root."""

import asyncio
import os

import pytest

NAMES = {
    "space": b"a b",
    "newline": b"line\nbreak",
    "quote": b'it\'s "quoted" $HOME `x`',
    "unicode": "grüße 日本 🚀".encode(),
    "decomposed": "gru\u0308ße".encode(),
    "not utf-8": b"caf\xe9 \xff\xfe",
    "longest": b"x" * 255,
    "longest unicode": ("é" * 127).encode(),
    "dash": b"-rf",
    "dots": b"...",
    "backslash": b"a\\b",
    "control": b"\x01\x7f\x1b[31m",
    "percent": b"%s%d%n",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("source", ["here", "there"])
def test_any_name_goes_over_and_back(pair, name, source):
    target = "there" if source == "here" else "here"

    async def body():
        pair.there.mkdir(exist_ok=True)
        top = os.fsencode(pair.side(source))
        os.mkdir(top + b"/" + name)
        with open(top + b"/" + name + b"/" + name, "wb") as file:
            file.write(name)
        async with pair.up() as session:
            assert pair.equal()[name + b"/" + name] == ("f", name, False)
            other = os.fsencode(pair.side(target)) + b"/" + name + b"/" + name
            with open(other, "wb") as file:
                file.write(b"changed")
            await session.flush()
            assert pair.equal()[name + b"/" + name][1] == b"changed"
            os.unlink(other)
            await session.flush()
            assert pair.equal().keys() == {name}
            assert session.status().to_value()

    asyncio.run(body())


def test_links_are_carried_and_never_followed(pair):
    outside = pair.folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")

    async def body():
        links = {
            b"dangling": b"no such file",
            b"loop": b"loop",
            b"out": os.fsencode(outside),
            b"up": b"../..",
            b"absolute": b"/etc/passwd",
            b"bytes": b"caf\xe9\n",
        }
        for name, target in links.items():
            os.symlink(target, os.fsencode(pair.here) + b"/" + name)
        async with pair.up() as session:
            assert pair.equal() == {name: ("l", target, False) for name, target in links.items()}
            os.unlink(pair.there / "out")
            os.symlink("elsewhere", pair.there / "out")
            await session.flush()
            assert pair.equal()[b"out"] == ("l", b"elsewhere", False)
            (outside / "secret").write_text("changed")
            await session.flush()
            assert (outside / "secret").read_text() == "changed"
            assert sorted(os.listdir(outside)) == ["secret"]

    asyncio.run(body())


def test_a_folder_that_is_swapped_for_a_link_lets_nothing_out(pair):
    outside = pair.folder / "outside"
    outside.mkdir()

    async def body():
        (pair.here / "d").mkdir()
        (pair.here / "d" / "x").write_text("1")
        async with pair.up() as session:
            os.rename(pair.there / "d", pair.folder / "moved")
            os.symlink(outside, pair.there / "d")
            (pair.here / "d" / "x").write_text("2")
            (pair.here / "d" / "y").write_text("3")
            await session.flush()
            assert os.listdir(outside) == []
            assert (pair.here / "d" / "x").read_text() == "2"

    asyncio.run(body())


def test_a_very_deep_path_goes_over(pair):
    async def body():
        deep = pair.here / "/".join(["d" * 50] * 40)
        deep.mkdir(parents=True)
        (deep / "x").write_text("deep")
        async with pair.up():
            assert len(pair.equal()) == 41

    asyncio.run(body())

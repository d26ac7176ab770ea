"""The bundle: what is in it, how it is named, how small it is."""

import ast
import os
import subprocess
import sys
import zlib

import pytest

from afield import errors
from afield.deploy import bundle
from afield.deploy.bundle import BOOT, LARGEST, build, pack, portable_sources
from afield.errors import InternalError

ROOT = os.path.dirname(os.path.dirname(errors.__file__))


def parse(payload):
    index, _, body = payload.partition(b"\n\n")
    magic, *lines = index.decode().split("\n")
    assert magic == "AFB1"
    found = {}
    for line in lines:
        name, length = line.split(" ")
        found[name], body = body[: int(length)], body[int(length) :]
    assert body == b""
    return found


def without_texts(source):
    """The syntax tree with its places; strings that are statements are empty."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            node.value = ast.Constant("", lineno=0, col_offset=0)
        for name in ("end_lineno", "end_col_offset", "col_offset"):
            if hasattr(node, name):
                setattr(node, name, 0)
    return ast.dump(tree, include_attributes=True)


def test_bundle_holds_the_portable_sources_without_their_texts():
    held = parse(zlib.decompress(build().data[4:]))
    sources = portable_sources()
    assert held.keys() == sources.keys()
    for name, source in sources.items():
        assert without_texts(held[name]) == without_texts(source), name
        assert held[name].count(b"\n") == source.count(b"\n"), name
        assert len(held[name]) < len(source), name


def test_boot_module_comes_first():
    assert build().modules[0] == BOOT
    assert list(build().modules[1:]) == sorted(build().modules[1:])


def test_same_sources_make_the_same_bundle():
    build.cache_clear()
    first = build()
    build.cache_clear()
    assert (build().data, build().sha256) == (first.data, first.sha256)


def test_changed_source_makes_another_name():
    sources = portable_sources()
    changed = dict(sources, **{"afield.errors": sources["afield.errors"] + b"\n"})
    assert pack(changed).sha256 != pack(sources).sha256


def test_first_contact_stays_below_200_kilobytes():
    assert len(build().data) <= LARGEST + 4


def test_size_stands_before_the_data():
    assert int.from_bytes(build().data[:4], "little") == len(build().data) - 4


def test_bundle_that_grew_too_large_is_refused():
    with pytest.raises(InternalError, match="at most"):
        _ = pack({BOOT: os.urandom(2 * LARGEST)}).data


def test_nothing_local_travels():
    packages = {name.split(".")[1] for name in build().modules if "." in name}
    assert packages == {"agent", "envs", "errorbase", "errors", "files", "tree", "wire"}


@pytest.mark.pythons
def test_every_module_compiles_under_every_python(any_python):
    code = (
        "import sys, zlib\npayload = zlib.decompress(sys.stdin.buffer.read()[4:])\n"
        "index, _, body = payload.partition(b'\\n\\n')\n"
        "for line in index.decode().split('\\n')[1:]:\n"
        "    name, length = line.split(' '); compile(body[:int(length)], name, 'exec'); body = body[int(length):]\n"
    )
    done = subprocess.run([any_python, "-I", "-S", "-c", code], input=build().data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


HEAVY = {"asyncio", "typing", "json", "logging", "socket", "subprocess", "re", "threading", "dataclasses", "selectors"}


@pytest.mark.parametrize("name", [name for name in sorted(portable_sources()) if ".agent" in name or ".wire" in name])
def test_no_heavy_import_at_the_top_of_a_module(name):
    for node in ast.parse(portable_sources()[name]).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not HEAVY & {each.split(".")[0] for each in names}


def test_a_dial_deflates_nothing_and_imports_nothing_slow():
    code = (
        "import sys; from afield.deploy import bundle, starter; starter.render(bundle.build())\n"
        "assert 'data' not in vars(bundle.build())\n"
        "print(sorted({'asyncio', 'typing', 'json', 'socket', 'subprocess', 'dataclasses', 'random'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": ROOT}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_module_names_are_those_of_the_files():
    assert bundle._module("__init__") == "afield"
    assert bundle._module("errors") == "afield.errors"

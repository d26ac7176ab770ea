"""Which far path is which local one, both ways; .pth files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.errors import BadPath, ConfigError
from afield.mirror import layout, pth
from afield.mirror.paths import PathMap, from_file

BASE = b"/home/me/proj/.afield"
SITE = b"/home/rem/envs/ml/lib/python3.12/site-packages"
HERE = BASE + b"/lib/python3.12/site-packages"
PAIRS = [
    (SITE, HERE),
    (b"/usr/lib/python3.12", BASE + b"/base/lib/python3.12"),
    (b"/usr/lib/python3/dist-packages", BASE + b"/far/usr/lib/python3/dist-packages"),
    (b"/home/rem/work/proj", b"/home/me/proj"),
]

parts = st.binary(min_size=1, max_size=8).filter(lambda part: not {0, 47} & set(part) and part not in (b".", b".."))
below = st.lists(parts, max_size=4).map(lambda some: b"".join(b"/" + part for part in some))
far_paths = st.one_of(below, st.builds(lambda pair, rest: pair[0] + rest, st.sampled_from(PAIRS), below)).filter(bool)


def test_the_longest_prefix_wins_and_what_none_covers_has_a_place_of_its_own():
    paths = PathMap(BASE, PAIRS)
    assert paths.to_here(SITE + b"/numpy/core.py") == HERE + b"/numpy/core.py"
    assert paths.to_here(b"/usr/lib/python3.12/os.py") == BASE + b"/base/lib/python3.12/os.py"
    assert paths.to_here(b"/usr/lib/python3.120/os.py") == BASE + b"/far/usr/lib/python3.120/os.py"
    assert paths.to_here(b"/home/rem/work/proj/a.py") == b"/home/me/proj/a.py"
    assert paths.to_here(b"/") == BASE + b"/far"
    assert paths.to_here(b"//usr/./lib/") == BASE + b"/far/usr/lib"


def test_what_is_not_of_the_mirror_has_no_far_path():
    paths = PathMap(BASE, PAIRS[:3])
    assert paths.to_far(b"/home/me/other.py") is None
    assert paths.to_far(BASE + b"/bin/python") is None
    assert paths.to_far(BASE + b"/far") == b"/"


@given(far_paths)
def test_there_and_back_is_the_same_path(far):
    paths = PathMap(BASE, PAIRS)
    here = paths.to_here(far)
    back = paths.to_far(here)
    assert back is not None
    # A project may hold a folder with the name of its own mirror: then the mirror's meaning counts.
    assert back == far or paths.to_here(back) == here


@given(far_paths)
def test_no_local_path_leaves_the_mirror_or_the_synced_folder(far):
    here = PathMap(BASE, PAIRS).to_here(far)
    assert here.startswith((BASE + b"/", b"/home/me/proj"))
    assert b".." not in here.split(b"/")


@pytest.mark.parametrize("path", [b"relative", b"", b"/a/../b", b"/..", b"/a\0b", b"/" + b"a" * 5000])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(BadPath):
        PathMap(BASE, PAIRS).to_here(path)


def test_a_file_that_is_no_map_is_refused():
    for data in (b"", b"[]", b"\xff", b'{"version": 2, "map": []}', b'{"version": 1, "map": [["/a"]]}', b"[" * 100000):
        with pytest.raises(ConfigError):
            from_file(BASE, data)


def test_the_file_moves_with_the_project():
    data = json.dumps({"version": 1, "map": [["/usr/lib/python3.12", "base/lib/python3.12"], ["/w", "/home/me/proj"]]})
    paths = from_file(b"/elsewhere/.afield", data.encode())
    assert paths.to_here(b"/usr/lib/python3.12/os.py") == b"/elsewhere/.afield/base/lib/python3.12/os.py"
    assert paths.to_here(b"/w/a.py") == b"/home/me/proj/a.py"


def test_pth_lines_get_local_paths_and_nothing_can_be_run():
    paths = PathMap(BASE, PAIRS)
    text = b"/usr/lib/python3/dist-packages\r\n# a comment\n\nimport os; os.system('x')\nimport\tos\n../plugins\n/x/../../..\n"
    lines = pth.localised(text, SITE, paths).split(b"\n")
    assert lines[0] == BASE + b"/far/usr/lib/python3/dist-packages"
    assert lines[1:3] == [b"# a comment", b""]
    assert lines[3:5] == [b"# import os; os.system('x')", b"# import\tos"]
    assert lines[5] == BASE + b"/far/home/rem/envs/ml/lib/python3.12/plugins"


def told(*roots, name=b"python3.12"):
    return {"version": "3.12.1", "name": name, "prefix": b"/home/rem/envs/ml", "roots": [list(root) for root in roots]}


def test_each_root_has_its_place():
    found = layout.read(
        told(
            (SITE, SITE, "site"),
            (b"/usr/lib/python3.12", b"/usr/lib/python3.12", "stdlib"),
            (b"/opt/x", b"/mnt/x", "path"),
        )
    )
    assert [root.here for root in found.roots] == [
        b"lib/python3.12/site-packages",
        b"base/lib/python3.12",
        b"far/opt/x",
    ]
    paths = layout.path_map(found, BASE, [])
    # Both names of a folder lead to one copy; its local path leads to the name that the interpreter reports.
    assert paths.to_here(b"/mnt/x/a.py") == paths.to_here(b"/opt/x/a.py") == BASE + b"/far/opt/x/a.py"
    assert paths.to_far(BASE + b"/far/opt/x/a.py") == b"/opt/x/a.py"


def test_an_odd_name_of_the_library_folder_becomes_the_usual_one():
    assert layout.read(told(name=b"../../x")).name == b"python3.12"
    assert layout.read(told(name=b"python3.13t")).name == b"python3.13t"


def test_roots_in_one_another_are_left_out():
    found = layout.read(told((b"/opt/x", b"/opt/x", "path"), (b"/opt/x/y", b"/opt/x/y", "path")))
    assert [root.far for root in layout.clashes(found)] == [b"/opt/x/y"]

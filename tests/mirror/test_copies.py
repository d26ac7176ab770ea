"""Mirrors of real environments: what is where, what a second sync asks, what changes there and here."""

import os
import stat
import subprocess
import sys

import pytest
import pythons
from far_env import install, make_env

from afield.errors import AfieldError, EnvBroken, NoSuchFile


@pytest.fixture
def env(tmp_path):
    """An environment with two packages, a module without RECORD and an editable install."""
    python, site = make_env(tmp_path / "there")
    install(
        site, "alpha", {"alpha/__init__.py": b"a = 1\n", "alpha/deep/mod.py": b"b = 2\n", "alpha/data.bin": b"\0" * 9}
    )
    install(site, "beta", {"beta.py": b"c = 3\n", "beta_stubs/__init__.pyi": b"", "beta_stubs/py.typed": b""})
    with open(os.path.join(site, "loose.py"), "w") as file:
        file.write("d = 4\n")
    (tmp_path / "src" / "edited").mkdir(parents=True)
    (tmp_path / "src" / "edited" / "__init__.py").write_text("e = 5\n")
    with open(os.path.join(site, "edited.pth"), "w") as file:
        file.write(f"import sys; sys.is_run = True\n{tmp_path}/src\n")
    return python, site


def site_here(place, name=None):
    return place.here("lib", name or f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")


def read(*parts):
    with open(os.path.join(*parts), "rb") as file:
        return file.read()


def names(folder):
    return sorted(os.path.relpath(os.path.join(top, n), folder) for top, _, found in os.walk(folder) for n in found)


def asked_files(place):
    return sum(len(args["items"]) // 4 for verb, args in place.asked if verb == "contents")


def test_sources_stubs_and_metadata_are_here_and_nothing_else(place, env, tmp_path):
    done = place.sync(env[0])
    here = site_here(place)
    assert read(here, "alpha/deep/mod.py") == b"b = 2\n"
    assert {"loose.py", "beta.py", "beta_stubs/__init__.pyi", "beta_stubs/py.typed"} <= set(names(here))
    assert "alpha-1.0.dist-info/RECORD" in names(here)
    assert "alpha/data.bin" not in names(here)
    name = os.path.basename(os.path.dirname(here))
    assert read(place.here("base/lib", name, "asyncio/__init__.py")).startswith(b'"""The asyncio package')
    assert read(place.here("far") + str(tmp_path), "src/edited/__init__.py") == b"e = 5\n"
    every = sum(len(names(place.here(part))) for part in ("lib", "base/lib", "far"))
    assert done["files"] == every - 1  # all but afield's own .pth


def test_the_map_leads_to_each_copy_and_back(place, env, tmp_path):
    place.sync(env[0])
    paths = place.map()
    for far in (os.path.join(env[1], "alpha/deep/mod.py"), f"{tmp_path}/src/edited/__init__.py", os.__file__):
        here = paths.to_here(os.fsencode(os.path.realpath(far)))
        assert read(os.fsdecode(here)) == read(far)
        assert os.path.realpath(paths.to_far(here)) == os.fsencode(os.path.realpath(far))


def test_pth_files_name_local_folders_and_run_nothing(place, env, tmp_path):
    place.sync(env[0])
    local = place.here("far") + f"{tmp_path}/src"
    assert read(site_here(place), "edited.pth").decode() == f"# import sys; sys.is_run = True\n{local}\n"
    assert local in read(site_here(place), "afield_mirror.pth").decode().split("\n")


def test_extension_modules_are_names_only(place, env):
    install(
        env[1],
        "fast",
        {"fast/__init__.py": b"", "fast/_core.cpython-312-x86_64-linux-gnu.so": b"\x7fELF" * 9, "fast/libx.so": b"x"},
    )
    place.sync(env[0])
    assert read(site_here(place), "fast/_core.cpython-312-x86_64-linux-gnu.so") == b""
    assert not os.path.exists(os.path.join(site_here(place), "fast/libx.so"))


def test_folders_and_files_are_read_only(place, env):
    place.sync(env[0])
    for top, _, files in os.walk(place.here("lib")):
        assert stat.S_IMODE(os.stat(top).st_mode) == 0o555
        assert all(stat.S_IMODE(os.stat(os.path.join(top, name)).st_mode) == 0o444 for name in files)


def test_unchanged_nothing_is_listed_and_nothing_travels(place, env):
    place.sync(env[0])
    done = place.sync(env[0])
    assert (done["changed"], done["removed"], done["fetched"]) == (0, 0, 0)
    assert done["received"] < 20_000
    assert asked_files(place) == 0


def test_an_install_there_brings_only_what_is_new(place, env):
    place.sync(env[0])
    install(env[1], "gamma", {"gamma/__init__.py": b"g = 7\n", "gamma/same.py": b"a = 1\n"})
    done = place.sync(env[0])
    # `same.py` has a content that is here already; METADATA and RECORD are new.
    assert (done["changed"], done["removed"], done["fetched"]) == (2, 0, 3)
    assert read(site_here(place), "gamma/same.py") == b"a = 1\n"


def test_a_newer_version_replaces_the_older_and_its_files(place, env):
    place.sync(env[0])
    subprocess.run(["rm", "-r", os.path.join(env[1], "alpha"), os.path.join(env[1], "alpha-1.0.dist-info")], check=True)
    install(env[1], "alpha", {"alpha/__init__.py": b"a = 2\n"}, version="2.0")
    done = place.sync(env[0])
    assert (done["changed"], done["removed"]) == (2, 1)
    assert names(os.path.join(site_here(place), "alpha")) == ["__init__.py"]
    assert read(site_here(place), "alpha/__init__.py") == b"a = 2\n"
    assert not os.path.exists(os.path.join(site_here(place), "alpha-1.0.dist-info"))


def test_a_removed_package_goes(place, env):
    place.sync(env[0])
    subprocess.run(["rm", "-r", os.path.join(env[1], "alpha"), os.path.join(env[1], "alpha-1.0.dist-info")], check=True)
    assert place.sync(env[0])["removed"] == 2
    assert not [name for name in names(site_here(place)) if name.startswith("alpha")]


def test_what_no_record_owns_is_seen_by_its_time(place, env):
    place.sync(env[0])
    with open(os.path.join(env[1], "loose.py"), "w") as file:
        file.write("d = 5\n")
    os.utime(os.path.join(env[1], "loose.py"), (1, 1))
    assert place.sync(env[0])["changed"] == 1
    assert read(site_here(place), "loose.py") == b"d = 5\n"


def test_an_edit_inside_an_installed_package_needs_full_and_then_stays(place, env):
    place.sync(env[0])
    with open(os.path.join(env[1], "alpha/__init__.py"), "w") as file:
        file.write("a = 9\n")
    assert place.sync(env[0])["changed"] == 0
    place.sync(env[0], full=True)
    assert read(site_here(place), "alpha/__init__.py") == b"a = 9\n"
    assert place.sync(env[0])["changed"] == 0
    assert read(site_here(place), "alpha/__init__.py") == b"a = 9\n"


def test_a_record_that_does_not_tell_the_truth_does_not_hide_the_file(place, env):
    install(env[1], "delta", {"delta.py": b"x = 1\n"})
    with open(os.path.join(env[1], "delta.py"), "w") as file:
        file.write("x = 2\n")  # of the same size
    place.sync(env[0])
    assert read(site_here(place), "delta.py") == b"x = 2\n"


def test_two_environments_share_what_is_equal(place, env, tmp_path):
    from far_env import Place

    place.sync(env[0])
    python, site = make_env(tmp_path / "second")
    install(
        site, "alpha", {"alpha/__init__.py": b"a = 1\n", "alpha/deep/mod.py": b"b = 2\n", "alpha/data.bin": b"\0" * 9}
    )
    other = Place(tmp_path / "project2" / ".afield", place.store)
    os.makedirs(tmp_path / "project2")
    try:
        done = other.sync(python)
        assert done["fetched"] == 0
        mine, theirs = (os.stat(os.path.join(site_here(each), "alpha/deep/mod.py")) for each in (place, other))
        assert (mine.st_dev, mine.st_ino) == (theirs.st_dev, theirs.st_ino)
    finally:
        other.do("remove")
    assert read(site_here(place), "alpha/deep/mod.py") == b"b = 2\n"


def test_another_environment_takes_the_place_of_the_first(place, env, tmp_path):
    place.sync(env[0])
    other = next(iter(pythons.found().values()))
    python, site = make_env(tmp_path / "other", other)
    install(site, "zeta", {"zeta.py": b"z = 1\n"})
    done = place.sync(python)
    name = os.path.basename(os.path.dirname(site))
    assert os.listdir(place.here("lib")) == os.listdir(place.here("base/lib")) == [name]
    assert read(site_here(place, name), "zeta.py") == b"z = 1\n"
    assert not os.path.exists(place.here("far") + f"{tmp_path}/src")
    assert done["missing"] == 0
    back = place.sync(env[0])
    assert back["fetched"] == 0


@pytest.mark.pythons
@pytest.mark.parametrize("minor", pythons.found(), ids=[f"3.{minor}" for minor in pythons.found()])
def test_environments_of_every_python_are_mirrored(place, tmp_path, minor):
    python, site = make_env(tmp_path / "there", pythons.found()[minor])
    install(site, "alpha", {"alpha/__init__.py": b"a = 1\n"})
    place.sync(python)
    name = os.path.basename(os.path.dirname(site))
    assert read(site_here(place, name), "alpha/__init__.py") == b"a = 1\n"
    assert os.path.isfile(place.here("base/lib", name, "os.py"))
    assert not {"test", "site-packages", "__pycache__"} & set(os.listdir(place.here("base/lib", name)))
    assert place.sync(python)["changed"] == 0


def test_a_synced_folder_on_the_path_is_mapped_and_not_copied(place, env, tmp_path):
    own = [[str(tmp_path / "src"), os.path.dirname(place.base)]]
    place.sync(env[0], own=own)
    assert not os.path.exists(place.here("far"))
    far = f"{tmp_path}/src/edited/__init__.py"
    assert place.map().to_here(far.encode()) == f"{os.path.dirname(place.base)}/edited/__init__.py".encode()
    assert read(site_here(place), "edited.pth").endswith(os.path.dirname(place.base).encode() + b"\n")


def test_links_are_followed_and_circles_are_not(place, env, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "linked.py").write_text("l = 1\n")
    os.mkdir(os.path.join(env[1], "links"))
    os.symlink(tmp_path / "cache" / "linked.py", os.path.join(env[1], "links/linked.py"))
    os.symlink(".", os.path.join(env[1], "links/circle"))
    os.symlink("/nonexistent.py", os.path.join(env[1], "links/dangling.py"))
    os.mkfifo(os.path.join(env[1], "links/fifo.py"))
    place.sync(env[0])
    assert read(site_here(place), "links/linked.py") == b"l = 1\n"
    assert names(os.path.join(site_here(place), "links")) == ["linked.py"]


def test_a_folder_that_is_no_environment_is_left_out_and_named(place, env, tmp_path, monkeypatch):
    from afield.envs import sources

    monkeypatch.setattr(sources, "MOST_LOOKED_AT", 50)  # the far worker is forked from here
    for number in range(60):
        (tmp_path / "src" / f"data{number}.py").write_text("")
    done = place.sync(env[0])
    assert done["large"] == [f"{tmp_path}/src"]
    assert read(site_here(place), "loose.py") == b"d = 4\n"


def test_an_interpreter_that_is_none_is_refused_with_its_words(place, env, tmp_path):
    bad = tmp_path / "python"
    bad.write_text("#!/bin/sh\necho noise; echo 'it is broken' >&2; exit 3\n")
    bad.chmod(0o755)
    with pytest.raises(EnvBroken, match="it is broken"):
        place.sync(bad)
    with pytest.raises(EnvBroken, match="cannot be started"):
        place.sync("/nonexistent/python")


def test_noise_of_a_site_customisation_does_no_harm(place, env):
    with open(os.path.join(env[1], "sitecustomize.py"), "w") as file:
        file.write("print('hello from site'); import sys; sys.stdout.flush()\n")
    assert place.sync(env[0])["files"]


def test_one_file_comes_on_demand_and_one_that_is_here_is_not_asked_for(place, env, tmp_path):
    place.sync(env[0])
    there = tmp_path / "include.h"
    there.write_bytes(b"#define X 1\n")
    told = place.do("get", path=str(there))
    assert told["path"] == place.here("far") + str(there)
    assert read(told["path"]) == b"#define X 1\n"
    assert stat.S_IMODE(os.stat(told["path"]).st_mode) == 0o444
    assert place.do("get", path=os.path.join(env[1], "alpha/deep/mod.py"))["path"] == os.path.join(
        site_here(place), "alpha/deep/mod.py"
    )
    assert place.asked == []
    with pytest.raises(NoSuchFile):
        place.do("get", path=str(tmp_path / "absent"))
    with pytest.raises(AfieldError):
        place.do("get", path="/a/../b")


def test_what_somebody_wrote_into_it_is_named_and_goes_with_the_next_sync(place, env):
    place.sync(env[0])
    folder = site_here(place)
    os.chmod(folder, 0o755)
    os.mkdir(os.path.join(folder, "intruder"))
    os.chmod(os.path.join(folder, "beta_stubs"), 0o755)
    os.unlink(os.path.join(folder, "beta_stubs/py.typed"))
    name = os.path.relpath(folder, place.base)
    assert place.do("status")["mirror"]["odd"] == [f"{name}/beta_stubs", f"{name}/intruder"]
    done = place.sync(env[0], full=True)
    assert (done["removed"], done["fetched"]) == (1, 0)
    assert place.do("status")["mirror"]["odd"] == []


def test_removal_leaves_nothing_of_it_and_frees_what_nobody_uses(place, env):
    os.makedirs(place.here("base/bin"))
    done = place.sync(env[0])
    gone = place.do("remove")
    assert gone["removed"] >= done["files"]
    assert os.listdir(place.base) == [".gitignore", "base"] or sorted(os.listdir(place.base)) == [".gitignore", "base"]
    assert place.do("status")["mirror"] is None
    assert place.do("status")["store"]["files"] == 0
    assert place.do("remove")["removed"] == 0

"""What is said about one environment: packages, versions, and the reason when it is broken."""

import os
import shutil

import pytest


def only(files):
    (env,) = [env for env in files.find()["envs"] if env["kind"] != "system"]
    return env


def test_packages_are_counted_and_what_kernels_need_is_named(files):
    env = files.venv("home/me/ml")
    for name, version in (("ipykernel", "6.29.5"), ("debugpy", "1.8.1"), ("Foo_Bar", "1.0"), ("pip", "24.0")):
        files.package(env, name, version)
    files.text("home/me/ml/lib/python3.11/site-packages/old-2.0-py3.11.egg-info", "")
    found = only(files)
    assert (found["packages"], found["ipykernel"], found["debugpy"], found["pip"]) == (5, "6.29.5", "1.8.1", "24.0")
    assert found["broken"] is None


def test_packages_of_the_base_count_where_they_are_shared(files):
    files.base("base")
    files.package(files.root / "base", "ipykernel", "6.0")
    files.venv("home/me/ml", "include-system-site-packages = true")
    found = only(files)
    assert (found["packages"], found["ipykernel"]) == (0, "6.0")


def test_a_dangling_python_is_named_with_where_it_leads(files):
    files.venv("home/me/ml")
    shutil.rmtree(files.root / "base")
    found = only(files)
    assert found["broken"] == f"bin/python leads to {files.root}/base/bin/python3.11, which does not exist"
    assert (found["python"], found["version"]) == (None, "3.11.9")


def test_a_chain_of_links_is_followed_to_the_one_that_breaks(files):
    env = files.venv("home/me/ml")
    os.rename(env / "bin/python", env / "bin/python3")
    os.symlink("python3", env / "bin/python")
    os.unlink(files.root / "base/bin/python3.11")
    assert f"leads to {files.root}/base/bin/python3.11," in only(files)["broken"]


def test_a_loop_of_links_is_broken_and_ends(files):
    env = files.venv("home/me/ml")
    os.unlink(env / "bin/python")
    os.symlink("python", env / "bin/python")
    assert "does not exist" in only(files)["broken"]


def test_no_python_at_all(files):
    env = files.venv("home/me/ml")
    os.unlink(env / "bin/python")
    assert only(files)["broken"] == "it has no bin/python"


def test_a_python_that_cannot_be_executed(files):
    env = files.venv("home/me/ml")
    os.unlink(env / "bin/python")
    files.text("home/me/ml/bin/python", "x")
    assert only(files)["broken"] == "bin/python cannot be executed"


def test_a_base_that_was_upgraded_in_place(files):
    env = files.venv("home/me/ml")
    base = files.base("newer", "3.12.0")
    os.unlink(env / "bin/python")
    os.symlink(base / "bin/python3", env / "bin/python")
    assert only(files)["broken"] == "it was made for Python 3.11, and its interpreter is Python 3.12 now"


def test_a_copied_interpreter_needs_its_base(files):
    env = files.venv("home/me/ml")
    os.unlink(env / "bin/python")
    files.interpreter("home/me/ml/bin/python")
    assert only(files)["broken"] is None
    assert only(files)["version"] == "3.11.9"
    shutil.rmtree(files.root / "base")
    assert only(files)["broken"] == f"its base {files.root}/base/bin does not exist any more"


def test_a_base_with_nothing_but_versioned_names(files):
    base = files.base("home/me/.pyenv/versions/3.11.9")
    for name in ("python", "python3"):
        os.unlink(base / "bin" / name)
    files.interpreter("home/me/.pyenv/versions/3.11.9/bin/python3.9")
    assert only(files)["python"] == os.fsencode(base / "bin/python3.11")


def test_a_conda_environment_without_python(files):
    files.conda("home/me/miniconda3/envs/r-stuff", python=False)
    found = only(files)
    assert (found["kind"], found["name"]) == ("conda", "r-stuff")
    assert found["broken"] == "this conda environment has no python"


@pytest.mark.parametrize(
    ("short", "place", "text", "expected"),
    [
        ("3.14", "lib/python3.14/build-details.json", '{"language": {"version_info": {"major": 3, "minor": 14, "micro": 2}}}', "3.14.2"),
        ("3.14", "lib/python3.14/build-details.json", "[]", "3.14"),
        ("3.7", "include/python3.7m/patchlevel.h", '#define PY_VERSION "3.7.16+"', "3.7.16+"),
        ("3.11", "bin/python3.11", "\x7fELF\0zz3.11.1\0\x003.11.3\0x", "3.11.3"),
        ("3.11", "lib/libpython3.11.so.1.0", "..\x003.11.4rc1\0", "3.11.4rc1"),
        ("3.11", "lib/nothing", "", "3.11"),
    ],
)  # fmt: skip
def test_versions_are_read_from_what_tells_them_best(files, short, place, text, expected):
    from afield.envs.versions import version_of

    program = files.interpreter(f"some/bin/python{short}")
    files.text(f"some/{place}", text)
    assert version_of(str(program)) == expected


def test_the_folders_name_tells_a_version_last(files):
    from afield.envs.versions import version_of

    assert version_of(str(files.interpreter("versions/3.10.4/bin/python3.10"))) == "3.10.4"


def test_stale_settings_do_not_count(files):
    files.base("base", "3.11.9")
    env = files.venv("home/me/ml", "version_info = 3.11.1")
    assert only(files)["path"] == os.fsencode(env)
    assert only(files)["version"] == "3.11.9"


def test_listing_tells_origins(files):
    from afield.envs.packages import listing

    env = files.venv("home/me/ml")
    files.package(env, "numpy", "2.1.0")
    (files.package(env, "mine", "0.1") / "direct_url.json").write_text(
        '{"url": "file:///src/mine", "dir_info": {"editable": true}}'
    )
    (files.package(env, "dep", "1") / "direct_url.json").write_text(
        '{"url": "https://x/dep", "vcs_info": {"vcs": "git", "commit_id": "abc"}}'
    )
    (files.package(env, "bad", "1") / "direct_url.json").write_text("{")
    assert listing(str(env)) == [
        ["bad", "1", ""],
        ["dep", "1", "git+https://x/dep@abc"],
        ["mine", "0.1", "-e /src/mine"],
        ["numpy", "2.1.0", ""],
    ]


def test_a_system_lists_the_packages_of_its_own_version_only(files):
    from afield.envs.packages import listing

    files.base("usr", "3.11.2")
    files.folder("usr/lib/python3/dist-packages/six-1.16.0.dist-info")
    files.folder("usr/lib/python3.9/dist-packages/old-1.dist-info")
    files.folder("usr/local/lib/python3.11/dist-packages/wheel-0.40.dist-info")
    assert [row[0] for row in listing(str(files.root / "usr"), "3.11")] == ["six", "wheel"]


def test_the_walk_ends_at_its_deadline_and_says_so(files):
    files.venv("home/me/a/ml")
    found = files.find(seconds=-1.0)
    assert (found["complete"], found["envs"]) == (False, [])


def test_the_walk_does_not_enter_what_holds_none(files):
    for folder in ("node_modules", ".git", ".cache", "__pycache__", ".afield"):
        files.venv(f"home/me/p/{folder}/x")
    files.venv("home/me/1/2/3/4/5/deep")
    assert files.find()["envs"] == []


def test_links_are_not_followed_by_the_walk(files):
    os.symlink("/", files.home / "root")
    os.symlink(files.home, files.home / "loop")
    assert files.find()["folders"] == 1

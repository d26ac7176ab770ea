"""Tags, markers and names: compared with what pip itself says about this very machine where that is possible."""

import os
import platform
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afield.wheels import tags
from afield.wheels.download import bundled_pips, find_pip
from afield.wheels.tags import Fit


def test_every_glibc_up_to_that_of_the_place_fits():
    found = tags.platforms(Fit("3.11.7", "x86_64", "glibc 2.36"))
    assert found[0] == "manylinux_2_36_x86_64"
    assert "manylinux_2_37_x86_64" not in found
    assert {"manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"} <= set(found)


def test_other_machines_began_with_2014():
    found = tags.platforms(Fit("3.11.7", "aarch64", "glibc 2.17"))
    assert found == ["manylinux_2_17_aarch64", "manylinux2014_aarch64", "linux_aarch64"]


def test_musl_has_its_own_wheels():
    assert tags.platforms(Fit("3.11.7", "x86_64", "musl")) == ["musllinux_1_2_x86_64", "musllinux_1_1_x86_64"]


@pytest.mark.parametrize("libc", [None, "", "uclibc 1", "glibc x"])
def test_an_unknown_library_takes_no_wheels_of_glibc(libc):
    assert tags.platforms(Fit("3.11.7", "x86_64", libc)) == ["linux_x86_64"]


@pytest.mark.parametrize(
    ("version", "abi"), [("3.6.15", "cp36m"), ("3.7.1", "cp37m"), ("3.8.0", "cp38"), ("3.14.0rc1", "cp314")]
)
def test_abis(version, abi):
    assert tags.abis(Fit(version, "x86_64", None)) == [abi, "abi3", "none"]


@pytest.mark.skipif(not bundled_pips() or not sys.platform.startswith("linux"), reason="no pip to compare with")
def test_tags_and_markers_are_those_that_pip_sees_on_this_machine():
    python, wheel = find_pip()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]) if sys.argv[1] else None\n"
        "from pip._vendor.packaging import tags, markers\n"
        "print(*sorted({str(tag) for tag in tags.sys_tags()})); print(markers.default_environment())"
    )
    done = subprocess.run([python, "-c", code, wheel], capture_output=True, text=True, check=True)
    known, environment = done.stdout.splitlines()
    fit = Fit(platform.python_version(), os.uname().machine, os.confstr("CS_GNU_LIBC_VERSION"))
    mine = {f"cp{fit.short[0]}{fit.short[1]}-{tags.abis(fit)[0]}-{each}" for each in tags.platforms(fit)}
    own = f"cp{fit.short[0]}{fit.short[1]}-{tags.abis(fit)[0]}-"
    assert mine == {tag for tag in known.split() if tag.startswith(own)}
    theirs = eval(environment)
    for name in ("platform_release", "platform_version"):
        theirs.pop(name)
    assert {name: tags.markers(fit)[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("numpy", "numpy"), ("Foo_Bar.baz>=1", "foo-bar-baz"), ("torch [cuda] >= 2", "torch"), ("x; python_version<'3'", "x"),
        ("pkg @ https://x/y", "pkg"), ("-r other.txt", ""), ("./local", ""), ("", ""), ("# note", ""),
    ],
)  # fmt: skip
def test_names_of_requirements(text, name):
    assert tags.requirement_name(text) == name


@pytest.mark.parametrize(
    ("requires", "version", "fits"),
    [
        (">=3.7", "3.6.15", False), (">=3.7", "3.7.0", True), (">=3.7", "3.10.1", True), ("", "3.6.1", True),
        (">=3.8, !=3.9.*", "3.9.4", False), (">=3.8,<4", "3.12.0", True), ("<3.10", "3.10.0", False), ("~=3.8", "3.6", True),
    ],
)  # fmt: skip
def test_requires_python(requires, version, fits):
    assert tags.allows(requires, version) is fits


@given(st.text(alphabet="aB-_.1", min_size=1))
def test_normalising_twice_is_normalising_once(name):
    once = tags.normalise(name)
    assert tags.normalise(once) == once
    assert not set("_.") & set(once)
    assert "--" not in once

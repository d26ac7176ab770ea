"""The real pip resolves for another Python and another system, from a folder of small wheels."""

import os
import socket

import pytest
from wheelhouse import make_source, make_wheel

from afield.errors import EnvFailed, NoWheel
from afield.wheels.download import bundled_pips, download, download_or_build, explain, pip_wheel
from afield.wheels.tags import Fit

OLD = Fit("3.8.18", "x86_64", "glibc 2.28")
ARM = Fit("3.12.1", "aarch64", "glibc 2.36")


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A folder of wheels, and a way to download from it alone."""
    folder = str(tmp_path / "house")
    os.makedirs(folder)
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    said = []

    def get(words, fit, download=download, options=("--no-index", "--find-links", folder), **more):
        to = str(tmp_path / f"to{len(os.listdir(tmp_path))}")
        os.makedirs(to)
        return download(words, to, fit, options=options, say=said.append, **more)

    get.folder = folder
    get.said = said
    return get


def test_markers_are_read_with_the_values_of_the_place(house):
    make_wheel(
        house.folder,
        "app",
        requires=[
            'old; python_version < "3.9"',
            'new; python_version >= "3.9"',
            'arm; platform_machine == "aarch64"',
            'mac; sys_platform == "darwin"',
        ],
    )
    for name in ("old", "new", "arm", "mac"):
        make_wheel(house.folder, name)
    assert house(["app"], OLD) == ["app-1.0-py3-none-any.whl", "old-1.0-py3-none-any.whl"]
    assert house(["app"], ARM) == [f"{name}-1.0-py3-none-any.whl" for name in ("app", "arm", "new")]


def test_the_wheel_of_the_places_system_and_abi_is_taken(house):
    for tag in (
        "cp38-cp38-manylinux_2_17_x86_64",
        "cp38-cp38-manylinux_2_34_x86_64",
        "cp312-cp312-manylinux2014_aarch64",
    ):
        make_wheel(house.folder, "fast", tag=tag)
    assert house(["fast"], OLD) == ["fast-1.0-cp38-cp38-manylinux_2_17_x86_64.whl"]
    assert house(["fast"], ARM) == ["fast-1.0-cp312-cp312-manylinux2014_aarch64.whl"]


def test_requires_python_of_the_place_counts(house):
    make_wheel(house.folder, "lib", "1.0", python=">=3.6")
    make_wheel(house.folder, "lib", "2.0", python=">=3.10")
    assert house(["lib"], OLD) == ["lib-1.0-py3-none-any.whl"]
    assert house(["lib"], ARM) == ["lib-2.0-py3-none-any.whl"]


def test_a_package_without_a_wheel_that_fits_is_named(house):
    make_wheel(house.folder, "app", requires=["fast"])
    make_wheel(house.folder, "fast", tag="cp312-cp312-manylinux2014_aarch64")
    with pytest.raises(NoWheel, match=r"no wheel of fast fits Python 3\.8 on Linux x86_64") as caught:
        house(["app"], OLD)
    assert caught.value.hint
    assert caught.value.details["package"] == "fast"


def test_what_is_installed_stays_when_it_can(house):
    for version in ("1.0", "2.0"):
        make_wheel(house.folder, "dep", version)
    make_wheel(house.folder, "app", requires=["dep"])
    make_wheel(house.folder, "picky", requires=["dep>=2"])
    kept = [("dep", "1.0"), ("gone", "3.0"), ("odd", "")]
    assert house(["app"], ARM, keep=kept) == ["app-1.0-py3-none-any.whl", "dep-1.0-py3-none-any.whl"]
    assert house(["picky"], ARM, keep=kept) == ["dep-2.0-py3-none-any.whl", "picky-1.0-py3-none-any.whl"]
    assert any("resolving anew" in line for line in house.said)


def test_a_package_that_is_nowhere_is_told_at_once(house):
    with pytest.raises(NoWheel, match="no wheel of nothing"):
        house(["nothing"], ARM, keep=[("dep", "1.0")])
    assert not any("resolving anew" in line for line in house.said)


def test_an_index_that_does_not_answer_is_named_and_not_asked_anew(house):
    """pip goes on as if it were empty, so the package would be told as one that has no wheel."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        index = f"https://127.0.0.1:{taken.getsockname()[1]}/simple"
        words = [f"--index-url={index}", "--retries=1"]
        with pytest.raises(EnvFailed, match=r"no wheel of six was found.*index could not be asked.*refused"):
            house(["six"], ARM, keep=[("dep", "1.0")], options=words)
    assert house.said.count("an index does not answer, pip tries it again") == 1


def test_requirements_that_exclude_each_other(house):
    for version in ("1.0", "2.0"):
        make_wheel(house.folder, "dep", version)
    make_wheel(house.folder, "a", requires=["dep==1.0"])
    make_wheel(house.folder, "b", requires=["dep==2.0"])
    with pytest.raises(EnvFailed, match="could not resolve"):
        house(["a", "b"], ARM)


def test_silence_is_explained_too():
    assert "no word of why" in str(explain("", ARM))


@pytest.mark.skipif(not bundled_pips(), reason="this Python brings no pip")
def test_pip_comes_from_here_without_a_network(tmp_path):
    name = pip_wheel(str(tmp_path), ARM, say=lambda text: None)
    assert os.listdir(tmp_path) == [name]
    assert name.startswith("pip-")


def test_a_pip_for_an_old_python_is_looked_for(tmp_path, house, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", house.folder)
    make_wheel(house.folder, "pip", "21.3.1", python=">=3.6")
    make_wheel(house.folder, "pip", "99.0", python=">=3.9")
    to = tmp_path / "pip"
    to.mkdir()
    assert (
        pip_wheel(str(to), Fit("3.6.15", "x86_64", "glibc 2.28"), say=lambda text: None)
        == "pip-21.3.1-py3-none-any.whl"
    )


def test_what_has_no_wheel_is_built_here_when_asked(house):
    make_wheel(house.folder, "app", requires=["pure"])
    make_source(house.folder, "pure")
    with pytest.raises(NoWheel, match="pure"):
        house(["app"], ARM)
    found = house(["app"], ARM, download=download_or_build, keep=[("other", "1.0")])
    assert found == ["app-1.0-py3-none-any.whl", "pure-1.0-py3-none-any.whl"]


def test_what_was_built_for_here_is_not_carried(house):
    make_source(house.folder, "fast", tag="cp311-cp311-linux_x86_64")
    with pytest.raises(NoWheel, match="fast has compiled parts"):
        house(["fast"], ARM, download=download_or_build)


def test_a_package_that_is_nowhere_cannot_be_built(house):
    with pytest.raises(NoWheel, match="no wheel of nothing"):
        house(["nothing"], ARM, download=download_or_build)

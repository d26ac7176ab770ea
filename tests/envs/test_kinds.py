"""Each tool's environments are found where the tool keeps them, with its kind and the name that people use."""

import os

import pytest


def test_pyenv_versions_and_their_virtualenvs(files):
    files.base("home/me/.pyenv/versions/3.11.9")
    files.venv("home/me/.pyenv/versions/3.11.9/envs/ml")
    os.symlink(files.home / ".pyenv/versions/3.11.9/envs/ml", files.home / ".pyenv/versions/ml")
    found = files.found()
    assert found["pyenv", "3.11.9"]["version"] == "3.11.9"
    assert found["pyenv-virtualenv", "ml"]["version"] == "3.11.9"
    assert len(found) == 2


def test_pyenv_root_is_taken_from_its_variable(files):
    files.variables["PYENV_ROOT"] = str(files.folder("opt/pyenv"))
    files.base("opt/pyenv/versions/3.9.1", "3.9.1")
    assert files.found()["pyenv", "3.9.1"]["version"] == "3.9.1"


@pytest.mark.parametrize(
    "root", ["home/me/miniconda3", "home/me/opt/miniforge3", "home/me/.local/anaconda", "opt/conda"]
)
def test_conda_installations_and_their_environments(files, root):
    files.conda(root, "3.12.4")
    files.text(f"{root}/conda-meta/conda-24.5.0-py312_0.json")
    files.conda(f"{root}/envs/ml", "3.10.2")
    found = files.found()
    assert found["conda", "base"]["version"] == "3.12.4"
    assert found["conda", "base"]["root"]
    assert found["conda", "ml"]["version"] == "3.10.2"
    assert not found["conda", "ml"]["root"]


def test_conda_environments_elsewhere_are_told_by_its_own_lists(files):
    files.conda("data/one")
    files.conda("data/envs/two")
    files.conda("scratch/three")
    files.conda("scratch2/four")
    files.text("home/me/.conda/environments.txt", f"{files.root}/data/one\n{files.root}/gone\n\n")
    files.text("home/me/.condarc", f"channels:\n  - x\nenvs_dirs:\n  - {files.root}/data/envs # mine\n  - ~/none\n")
    files.text("etc/conda/.condarc", f"envs_dirs: [{files.root}/scratch2]\n")
    files.variables["CONDA_ENVS_PATH"] = f"{files.root}/scratch"
    assert {("conda", name) for name in ("one", "two", "three", "four")} == set(files.found())


def test_a_conda_environment_with_scripts_says_so(files):
    env = files.conda("home/me/miniconda3/envs/cuda")
    files.text("home/me/miniconda3/envs/cuda/etc/conda/activate.d/a.sh")
    assert files.found()["conda", "cuda"]["scripts"]
    assert files.found()["conda", "cuda"]["path"] == os.fsencode(env)


def test_pixi_of_a_project_and_global_ones(files):
    for prefix in ("home/me/app/.pixi/envs/default", "home/me/app/.pixi/envs/dev", "home/me/.pixi/envs/ruff"):
        files.conda(prefix)
        files.text(f"{prefix}/conda-meta/pixi", "{}")
    files.text("home/me/app/pixi.toml")
    assert set(files.found()) == {("pixi", "app"), ("pixi", "app:dev"), ("pixi", "ruff")}


def test_uv_projects_tools_and_pythons(files):
    files.venv("home/me/code/app/.venv", "uv = 0.4.1", "prompt = app-dev", "version_info = 3.11.9")
    files.venv("home/me/.local/share/uv/tools/ruff", "uv = 0.4.1")
    files.base("home/me/.local/share/uv/python/cpython-3.12.1-linux-x86_64-gnu", "3.12.1")
    found = files.found()
    assert set(found) == {
        ("uv", "app-dev"),
        ("uv-tool", "ruff"),
        ("uv-python", "cpython-3.12.1-linux-x86_64-gnu"),
    }


def test_poetry_in_its_cache_by_its_settings_and_in_a_project(files):
    files.venv("home/me/.cache/pypoetry/virtualenvs/api-AbCd_-12-py3.11")
    files.venv("data/pv/web-service-aBcDeFgH-py3.11")
    files.text("home/me/.config/pypoetry/config.toml", f'[virtualenvs]\npath = "{files.root}/data/pv" # here\n')
    files.venv("home/me/blog/.venv")
    files.text("home/me/blog/poetry.lock")
    assert set(files.found()) == {("poetry", "api"), ("poetry", "web-service"), ("poetry", "blog")}


def test_pipenv_and_virtualenvwrapper_share_a_folder(files):
    files.variables["WORKON_HOME"] = str(files.home / "work-envs")
    files.venv("home/me/work-envs/site-AbCdEfGh")
    files.text("home/me/work-envs/site-AbCdEfGh/.project", "/p")
    files.venv("home/me/work-envs/tools")
    files.venv("home/me/.virtualenvs/old")
    assert set(files.found()) == {("pipenv", "site"), ("virtualenvwrapper", "tools"), ("virtualenvwrapper", "old")}


def test_hatch_three_folders_down_and_where_its_settings_say(files):
    files.venv("home/me/.local/share/hatch/env/virtual/app/x1Yz/app")
    files.venv("data/hatch/app/x1Yz/lint")
    files.text("home/me/.config/hatch/config.toml", f'[dirs.env]\nvirtual = "{files.root}/data/hatch"\n')
    assert set(files.found()) == {("hatch", "app"), ("hatch", "app:lint")}


@pytest.mark.parametrize(
    ("kind", "prefix", "name"),
    [
        ("pipx", "home/me/.local/share/pipx/venvs/black", "black"),
        ("pipx", "home/me/.local/pipx/venvs/black", "black"),
        ("pipx", "opt/pipx/venvs/black", "black"),
        ("pdm", "home/me/.local/share/pdm/venvs/my-app-ndD9-Fm6-3.11", "my-app"),
        ("pdm", "home/me/.local/share/pdm/venvs/app-ndD9UFm6-test", "app:test"),
        ("pdm", "home/me/.local/share/pdm/venvs/odd-3.11", "odd-3.11"),
        ("venv", "home/me/a/b/c/.venv", "c"),
        ("venv", "home/me/envs/ml", "ml"),
        ("venv", "home/me/.local/share/afield/envs/mine", "mine"),
    ],
)
def test_other_places(files, kind, prefix, name):
    files.venv(prefix)
    found = files.found()
    assert set(found) == {(kind, name)}
    assert found[kind, name]["made"] == ("afield/envs" in prefix)


def test_virtualenv_is_known_by_its_settings(files):
    files.venv("home/me/x/venv", "virtualenv = 20.26.1")
    assert set(files.found()) == {("virtualenv", "x")}


@pytest.mark.parametrize(
    ("kind", "prefix"),
    [
        ("mise", ".local/share/mise/installs/python/3.11.9"),
        ("asdf", ".asdf/installs/python/3.11.9"),
        ("rye", ".rye/py/3.11.9"),
    ],
)
def test_version_managers(files, kind, prefix):
    files.base(f"home/me/{prefix}")
    assert files.found()[kind, "3.11.9"]["version"] == "3.11.9"


def test_the_system_has_each_interpreter_once_and_no_shims(files):
    files.base("usr", "3.11.2")
    files.base("home/me/.pyenv/versions/3.12.0", "3.12.0")
    os.symlink(files.home / ".pyenv/versions/3.12.0/bin/python3.12", files.bin / "python3.12")
    shims = files.folder("home/me/.pyenv/shims")
    for name in ("python3.12", "python3.10"):
        files.text(f"home/me/.pyenv/shims/{name}", "#!/bin/sh\n").chmod(0o755)
    files.text("usr/bin/python3.7", "#!/bin/sh\n").chmod(0o755)
    files.variables["PATH"] = f"{shims}:{files.bin}"
    found = files.found()
    assert set(found) == {("system", "python3.11"), ("pyenv", "3.12.0")}
    assert found["system", "python3.11"]["version"] == "3.11.2"


def test_an_environment_in_path_is_that_environment(files):
    env = files.venv("elsewhere/ml")
    files.variables["PATH"] = f"{env}/bin:{files.bin}"
    assert ("venv", "ml") in files.found()


def test_the_active_one_is_found_wherever_it_is(files):
    files.variables["VIRTUAL_ENV"] = str(files.venv("elsewhere/deep/er/ml"))
    assert ("venv", "ml") in files.found()


def test_each_environment_comes_once_also_through_links(files):
    files.venv("home/me/envs/ml")
    os.symlink(files.home / "envs", files.home / ".virtualenvs")
    assert len(files.found()) == 1


def test_those_of_the_project_are_marked(files):
    files.venv("home/me/afield/proj/.venv")
    files.venv("home/me/other/.venv")
    found = files.found(files.home / "afield/proj")
    assert {name: env["here"] for (_, name), env in found.items()} == {"proj": True, "other": False}


def test_an_empty_place_has_none(files):
    found = files.find()
    assert (found["envs"], found["complete"]) == ([], True)


def test_names_that_are_no_text_are_carried(files):
    raw = os.fsencode(files.home) + b"/env-\xff"
    os.mkdir(raw)
    with open(raw + b"/pyvenv.cfg", "wb") as file:
        file.write(b"home = /x\n")
    (env,) = files.find()["envs"]
    assert env["path"] == raw
    assert env["name"] == "env-?"

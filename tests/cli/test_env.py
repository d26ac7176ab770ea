"""`afield env` as a user has it: the real command, a real sshd, real environments, packages from a folder of wheels."""

import http.server
import json
import os
import subprocess
import threading
import tomllib

import pytest
import pythons
from wheelhouse import make_wheel
from world import World

from afield.wheels.download import bundled_pips
from hosts import SSHD

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(SSHD is None, reason="no sshd on this machine"),
    pytest.mark.skipif(not bundled_pips(), reason="this Python brings no pip to carry"),
]
NEWEST = os.path.realpath(list(pythons.found().values())[-1])

# The environment's name as the interpreter's own pyvenv.cfg tells it: its prefix is the project's, whichever is in use.
WHICH = "import sys; print([*open(sys.prefix + '/pyvenv.cfg')][-1].strip())"


@pytest.fixture(scope="module")
def proxy():
    """What the place takes for its way to the web: it answers nobody, and its ``asked`` tells who came."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def refuse(self):
            self.server.asked.append(self.path)
            self.send_error(502)

        do_CONNECT = do_GET = refuse

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def world(tmp_path_factory, proxy):
    """One world for all: an environment `ml` is made and used, a folder of wheels is the only index."""
    far = tmp_path_factory.mktemp("home")
    ways = dict.fromkeys(("http_proxy", "https_proxy"), f"http://127.0.0.1:{proxy.server_port}")
    made = World(
        tmp_path_factory.mktemp("w"), env={"HOME": str(far), "PATH": f"{os.path.dirname(NEWEST)}:/usr/bin:/bin", **ways}
    ).open()
    made.far = far
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "VIRTUAL_ENV", "CONDA_PREFIX"):
        made.env.pop(name, None)
    house = made.root / "house"
    house.mkdir()
    made.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(house), PIP_CONFIG_FILE=os.devnull)
    made.house = str(house)
    try:
        made.init()
        made.afield("env", "create", "ml", "--python", NEWEST, "--use")
        yield made
    finally:
        made.close()


def python(world, code):
    return world.afield("python", "--no-sync", "-c", code).stdout.strip()


def test_create_makes_it_with_a_pip_and_use_writes_one_line(world):
    data = tomllib.loads((world.project / "afield.toml").read_text())
    assert data["machines"]["gpu1"]["env"] == "ml"
    assert python(world, WHICH).endswith(" = ml")
    assert "pip" in world.afield("run", "--no-sync", "pip", "--version").stdout


def test_the_shim_follows(world):
    world.afield("up", "--yes")
    os.utime(world.shim, (1, 1))
    world.afield("env", "use", "ml")
    assert os.stat(world.shim).st_mtime > 1
    done = subprocess.run(
        [world.shim, "-c", WHICH],
        cwd=world.project,
        env=world.env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith(" = ml")


def test_list_marks_the_one_in_use(world):
    found = json.loads(world.afield("env", "list", "--json").stdout)
    (ml,) = [env for env in found["envs"] if env["name"] == "ml"]
    assert found["use"] == ml["path"]
    assert (ml["made"], ml["broken"]) == (True, None)
    assert "*  ml" in world.afield("env", "list").stdout


def test_packages_are_carried_with_what_they_need(world):
    make_wheel(world.house, "app", "1.0", requires=["dep>=1", 'never; sys_platform == "win32"'])
    make_wheel(world.house, "dep", "1.0")
    done = world.afield("env", "install", "app")
    assert done.stdout == "ml: app 1.0, dep 1.0\n"
    assert python(world, "import app, dep; print(app.version, dep.version)") == "1.0 1.0"
    assert world.afield("env", "install", "app").stdout == "ml: everything is there already\n"
    make_wheel(world.house, "dep", "2.0")
    assert world.afield("env", "install", "app").stdout == "ml: everything is there already\n"
    assert world.afield("env", "install", "-U", "dep").stdout == "ml: dep 2.0\n"
    assert {"app==1.0", "dep==2.0"} <= set(world.afield("env", "export").stdout.splitlines())
    left = [name for name in os.listdir(world.home / ".local/share/afield") if name.startswith("wheels-")]
    assert left == []


def test_pip_there_asks_no_index_and_reads_no_settings(world, proxy):
    (world.far / ".config/pip").mkdir(parents=True)
    (world.far / ".config/pip/pip.conf").write_text("[install]\nno-binary = :all:\n")
    make_wheel(world.house, "alone")
    try:
        assert world.afield("env", "install", "alone").stdout == "ml: alone 1.0\n"
        assert proxy.asked == []
    finally:
        (world.far / ".config/pip/pip.conf").unlink()


def test_a_requirements_file_and_a_project(world):
    for name in ("one", "two", "three"):
        make_wheel(world.house, name)
    (world.project / "requirements.txt").write_text("one==1.0  # this\n")
    (world.project / "pyproject.toml").write_text(
        '[project]\nname = "p"\ndependencies = ["two"]\n[dependency-groups]\ntest = ["three"]\n'
    )
    assert world.afield("env", "install", "-r", "requirements.txt").stdout == "ml: one 1.0\n"
    assert (
        world.afield("env", "install", "-r", "pyproject.toml", "--group", "test").stdout == "ml: three 1.0, two 1.0\n"
    )


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["install", "not-there"], 1, "no wheel of not-there fits Python 3."),
        (["install", "--env", "mll", "x"], 1, "did you mean ml"),
        (["install"], 2, "nothing to install"),
        (["use", "mll"], 1, "did you mean ml"),
        (["use"], 2, "which one?"),
        (["create", "ml"], 1, "there is an environment ml already"),
        (["create", "x", "--python", "3.1"], 1, "there is no Python 3.1 there"),
        (["remove", "nothing"], 1, "no environment there is named"),
        (["diff", "--here", "/nonexistent"], 1, "is no environment"),
    ],
)
def test_errors_say_what_to_do(world, words, status, says):
    done = world.afield("env", *words, check=False)
    assert done.returncode == status
    assert says in done.stderr
    assert "hint: " in done.stderr


def test_a_system_python_is_not_installed_into(world):
    found = json.loads(world.afield("env", "list", "--json").stdout)
    system = next(env["name"] for env in found["envs"] if env["kind"] == "system")
    done = world.afield("env", "install", "--env", system, "x", check=False)
    assert "is not yours to install into" in done.stderr


def test_diff_compares_with_the_environment_here(world):
    here = world.root / "here"
    subprocess.run([NEWEST, "-I", "-m", "venv", "--without-pip", str(here)], check=True)
    other = world.afield("env", "diff", "--here", str(here), check=False)
    assert other.returncode == 1
    assert "pip" in other.stdout
    there = json.loads(world.afield("env", "export", "--json").stdout)
    assert set(there) == {"env", "packages", "requirements"}
    for name, version in ((row["name"], row["version"]) for row in there["packages"]):
        (here / f"lib/python3.{list(pythons.found())[-1]}/site-packages/{name}-{version}.dist-info").mkdir()
    same = world.afield("env", "diff", "--here", str(here))
    assert same.stdout.startswith("the same ")


def test_remove_takes_it_out_of_the_settings(world):
    world.afield("env", "create", "short", "--python", NEWEST, "--no-pip", "--use")
    assert python(world, WHICH).endswith(" = short")
    world.afield("env", "remove", "short")
    assert "env" not in tomllib.loads((world.project / "afield.toml").read_text())["machines"]["gpu1"]
    assert not python(world, WHICH).endswith(" = short")
    world.afield("env", "use", "ml")
    assert python(world, WHICH).endswith(" = ml")
    world.afield("env", "use", "--none")
    assert not python(world, WHICH).endswith(" = ml")
    world.afield("env", "use", "ml")


@pytest.mark.netns
def test_a_place_without_any_network_is_filled(tmp_path_factory):
    """The agent and all that it starts live in a network namespace with nothing in it, not even a loopback that is up."""
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces need root here")
    far = tmp_path_factory.mktemp("home")
    made = World(
        tmp_path_factory.mktemp("w"), env={"HOME": str(far), "PATH": f"{os.path.dirname(NEWEST)}:/usr/bin:/bin"}
    )
    alone = made.root / "python-alone"
    alone.write_text(f'#!/bin/sh\nexec unshare -n {NEWEST} "$@"\n')
    alone.chmod(0o755)
    house = made.root / "house"
    make_wheel(house, "app", requires=["dep"])
    make_wheel(house, "dep")
    made.env.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=str(house), PIP_CONFIG_FILE=os.devnull)
    made.open()
    try:
        made.init("ssh://gpu1", "--agent-python", str(alone))
        code = "import socket; socket.create_connection(('127.0.0.1', 22), 5)"
        assert "unreachable" in made.afield("python", "--no-sync", "-c", code, check=False).stderr
        made.afield("env", "create", "ml", "--python", NEWEST, "--use")
        assert made.afield("env", "install", "app").stdout == "ml: app 1.0, dep 1.0\n"
        assert made.afield("python", "--no-sync", "-c", "import app, dep; print(app.version)").stdout == "1.0\n"
    finally:
        made.close()

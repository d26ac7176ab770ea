"""A project here, its interpreter on a host of its own: real tools run here and get the project's ``.afield/bin/python``.

The host is one of the lab: own root file system, own network, own processes; what stands here (the tools, the project, the home of
who runs the tests) does not exist there. Tools and far environment are made by ``make tools`` from requirements/tools.txt.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from lab import Lab, base_of, why_not
from lab_world import LabWorld

from afield.config.schema import SETTINGS

ROOT = Path(__file__).parents[2]
MADE = Path(os.environ.get("AFIELD_TOOLS", ROOT / ".tools"))
HERE, FAR = MADE / "here", MADE / "far"
FAR_THERE = "/home/dev/.virtualenvs/ml"


WAYS = ("twin", "same", "translated")
HAS_WAY = "way" in {setting.key for setting in SETTINGS}
OUTCOMES = {}
# What a way cannot give, with the reason; the rest of the table comes from the run itself.
ENVIRONMENT = "the environment is made of paths that mean nothing here"
FAR_PATHS = "the interpreter names the paths of the far machine"
NAMES_IN_FILES = "paths in the content of files are not translated"
LOST = {
    ("test_coverage_there_and_report_here", "translated"): FAR_PATHS,
    ("test_pytest_run", "translated"): NAMES_IN_FILES,
    ("test_pytest_that_is_stopped", "translated"): NAMES_IN_FILES,
    **{
        (name, "translated"): ENVIRONMENT
        for name in (
            *(
                "test_venv_module",
                "test_virtualenv",
                "test_uv_venv",
                "test_uv_run",
                "test_uv_pip_list",
                "test_tox",
                "test_nox",
            ),
            *("test_poetry_env_use", "test_pdm_use", "test_hatch"),
        )
    },
    **{
        (name, "translated"): FAR_PATHS
        for name in (
            *("test_mypy", "test_pyright", "test_pyrefly", "test_jedi_goes_to_a_file_that_is_here"),
            *(
                "test_jedi_language_server_there",
                "test_adapter_there_as_a_module",
                "test_adapter_there_from_a_folder_of_here",
            ),
            "test_adapter_here_and_the_program_there",
            *("test_interpreter_info", "test_short_probes", "test_pytest_discovery", "test_unittest_discovery"),
            *("test_unittest_run_with_coverage", "test_neovim_python_provider", "test_neotest"),
            "test_python_environment_tools",
        )
    },
}


class Tools:
    """``tool(name, …)`` runs a tool of here, ``shim(…)`` the project's interpreter, both in the project."""

    def __init__(self, world, host):
        self.world, self.host = world, host
        self.project = world.project
        (world.root / "tmp").mkdir()
        self.python = str(self.project / ".afield" / "bin" / "python")
        # Tools keep what they find out about interpreters: each test begins with nothing known.
        self.env = {
            name: value
            for name, value in world.env.items()
            if not name.startswith(("PYTEST", "COV_", "UV_", "TOX_", "VIRTUAL_ENV", "PYENV_", "PYTHON"))
        }
        self.env |= {
            "PATH": f"{HERE / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "UV_CACHE_DIR": str(world.root / "uv"),
            "UV_OFFLINE": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "XDG_CACHE_HOME": str(world.root / "cache"),
            "XDG_DATA_HOME": str(world.root / "data"),
            "XDG_CONFIG_HOME": str(world.root / "config"),
            "PIP_NO_INDEX": "1",
            "TMPDIR": str(world.root / "tmp"),
        }

    def run(self, *words, check=True, timeout=100, cwd=None, env=None, **more):
        done = subprocess.run(
            [*self.world.lab.client, *map(str, words)],
            cwd=cwd or self.project,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **({"stdin": subprocess.DEVNULL} if "input" not in more else {}),
            **more,
        )
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout[-3000:], done.stderr[-3000:])
        return done

    def shim(self, *words, **more):
        return self.run(self.python, *words, **more)

    def tool(self, name, *words, **more):
        return self.run(self.program(name), *words, **more)

    def program(self, name):
        return HERE / "bin" / name

    def popen(self, *words, env=None, **more):
        argv = [*self.world.lab.client, *map(str, words)]
        return subprocess.Popen(argv, cwd=self.project, env=env or self.env, **more)

    def wait_for_port(self, port):
        """Until something here listens on it."""
        line = f":{port:04X} "
        namespace = ["ip", "netns", "exec", self.world.lab.prefix + "cli", "cat", "/proc/net/tcp"]

        def listens():
            rows = subprocess.run(namespace, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
            return any(line in row.split(None, 2)[1] + " " and row.split()[3] == "0A" for row in rows)

        wait_for(listens, f"port {port}")

    def write(self, path, text):
        where = self.project / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        return where


@pytest.fixture(scope="session")
def far_host(tmp_path_factory):
    """The lab with the far environment in its host ``a`` and nothing of what stands here."""
    if reason := why_not():
        pytest.skip(reason)
    if not (HERE / "bin" / "python").exists() or not (FAR / "bin" / "python").exists():
        pytest.skip("the tools are not installed: make tools")
    prefix = Path(os.path.realpath(FAR / "bin" / "python")).parents[1]
    shown = {"a": {"/srv/far-lib": FAR / "lib", "/srv/python": prefix}}
    base = base_of(os.environ.get("PYTEST_XDIST_WORKER", "t"))
    made = Lab(tmp_path_factory.mktemp("lab"), base=base, shown=shown).up()
    try:
        prepare(made.a)
        yield made
    finally:
        made.down()


def prepare(host):
    """Put the far environment at its place, and hide this machine's own folders."""
    base = Path(os.path.realpath(FAR / "bin" / "python"))
    prefix = base.parents[1]
    version = subprocess.run([base, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    script = f"""
        set -e
        mkdir -p {FAR_THERE}/bin {FAR_THERE}/lib
        mount --bind /srv/far-lib {FAR_THERE}/lib
        ln -sf /srv/python/bin/{base.name} {FAR_THERE}/bin/python
        ln -sf python {FAR_THERE}/bin/python3
        ln -sf python {FAR_THERE}/bin/{base.name}
        printf 'home = /srv/python/bin\nversion = {version}\n' > {FAR_THERE}/pyvenv.cfg
        chown -R dev: {FAR_THERE}/bin {FAR_THERE}/pyvenv.cfg
        for folder in {" ".join(hidden())}; do [ ! -d "$folder" ] || mount -t tmpfs -o mode=755 none "$folder"; done
        mkdir -p {prefix.parent}
        [ -e {prefix} ] || ln -s /srv/python {prefix}
    """
    host.run("sh", "-c", script)


def hidden():
    """Folders of here that a real far machine would not have: the checkout, the tools, the home of who runs this."""
    home = os.path.expanduser("~")
    folders = {str(ROOT), str(MADE), home, *(os.path.dirname(os.path.realpath(each)) for each in (ROOT, MADE))}
    return sorted(folder for folder in folders if folder.count("/") >= 1 and folder not in ("/", "/tmp"))


def pytest_addoption(parser):
    parser.addoption("--ways", default="twin", help="twin, same, translated, or all: how the project's paths are there")
    parser.addoption("--tools-report", help="write the outcome of each tool and way there, as JSON")


def pytest_generate_tests(metafunc):
    given = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "way" in metafunc.fixturenames and "way" not in given:
        wanted = metafunc.config.getoption("--ways")
        metafunc.parametrize("way", WAYS if wanted == "all" else wanted.split(","), indirect=True)


@pytest.fixture
def way(request):
    """How the project's paths are on the far side: ``twin``, ``same`` or ``translated``."""
    return getattr(request, "param", "twin")


def pytest_collection_modifyitems(items):
    for item in items:
        name = getattr(item, "originalname", item.name)
        given = getattr(item, "callspec", None)
        reason = LOST.get((name, given.params.get("way") if given else None))
        if reason:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=False))


def pytest_runtest_logreport(report):
    if report.when == "call" or report.failed:
        OUTCOMES[report.nodeid] = (
            "works" if report.passed else "lost" if hasattr(report, "wasxfail") else report.outcome
        )


def pytest_sessionfinish(session):
    path = session.config.getoption("--tools-report", None)
    if path and not hasattr(session.config, "workerinput"):
        known = json.loads(Path(path).read_text()) if os.path.exists(path) else {}
        Path(path).write_text(json.dumps({**known, **OUTCOMES}, indent=1) + "\n")


@pytest.fixture
def tools(far_host, way):
    far_host.restore()
    # A short path: a socket's address holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        world = LabWorld(far_host, folder)
        try:
            there = str(world.project) if way == "same" else f"~/{world.root.name}"
            world.afield("init", "ssh://a", "--name", "a", "--folder", there, *world.ssh_words)
            set_way(world.project / "afield.toml", way)
            world.afield("env", "use", "ml")
            world.afield("up", "--yes")
            yield Tools(world, far_host.a)
        finally:
            world.close()


@pytest.fixture
def mirror(tools):
    """The sources of the far environment are here."""
    tools.world.afield("mirror", "sync")


def set_way(path, way):
    text = path.read_text()
    if HAS_WAY:
        path.write_text(text.replace("[machines.a]\n", f'[machines.a]\nway = "{way}"\n', 1))


def wait_for(look, what, seconds=30.0):
    """Wait until look() gives something true and return it."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.02)
    return found

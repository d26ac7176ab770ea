"""An environment there that virtualenv, uv or venv made stands in for itself at ``.afield``: in a view, and on the disk."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from afield.testing.agent import AgentDriver

HERE = Path(os.environ.get("AFIELD_TOOLS", Path(__file__).parents[2] / ".tools")) / "here" / "bin"
MAKERS = {
    "virtualenv": [str(HERE / "virtualenv"), "-q", "--no-download", "--no-periodic-update"],
    "virtualenv copies": [str(HERE / "virtualenv"), "-q", "--copies", "--no-download", "--no-periodic-update"],
    "uv": [str(HERE / "uv"), "venv", "-q", "--offline", "--python", "/usr/bin/python3"],
    "uv relocatable": [*(str(HERE / "uv"), "venv", "-q", "--offline", "--relocatable", "--python", "/usr/bin/python3")],
    "venv copies": ["/usr/bin/python3", "-m", "venv", "--without-pip", "--copies"],
}
WHO = "import json, sys, demo; print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, demo.__file__]))"


@pytest.mark.parametrize("disk", [False, True], ids=["view", "disk"])
@pytest.mark.parametrize("maker", MAKERS)
def test_environment_stands_in(tmp_path, maker, disk):
    if not (HERE / "virtualenv").exists():
        pytest.skip("the tools are not installed: make tools")
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "data"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    subprocess.run([*MAKERS[maker], str(tmp_path / "ml")], check=True, capture_output=True, env=env)
    (packages,) = (tmp_path / "ml").glob("lib/python3*/site-packages")
    (packages / "demo.py").write_text("")
    there = tmp_path / "far"
    there.mkdir()
    local = there if disk else Path(f"/afield-test-{tmp_path.parent.name}-{tmp_path.name}/me/proj")
    python = os.fsencode(tmp_path / "ml" / "bin" / "python")
    with AgentDriver(str(tmp_path), env={"HOME": str(tmp_path)}) as agent:
        agent.dial()
        view = agent.call("view", folders=[[os.fsencode(there), os.fsencode(local)]], env=python, disk=disk)
        done = agent.run(view["python"], "-c", WHO, cwd=os.fsencode(local), view=view["view"])
        assert done.status == 0, bytes(done.err)
        at = f"{local}/.afield"
        version = packages.parent.name
        found = json.loads(bytes(done.out))
        assert found == [f"{at}/bin/python", at, f"{at}/base", f"{at}/lib/{version}/site-packages/demo.py"]
        agent.finish()
    assert not local.exists() or disk

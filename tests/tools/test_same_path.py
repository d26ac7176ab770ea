"""Without views: the project stands at the same path there, and its environment at ``.afield`` on that machine's disk."""

import json

import pytest

WHO = "import json, os, sys; print(json.dumps([os.uname().nodename, sys.executable, sys.prefix, sys.base_prefix]))"


@pytest.mark.parametrize("way", ["same"], indirect=True)
def test_the_environment_stands_there_without_a_view(tools, way):
    at = str(tools.project / ".afield")
    assert json.loads(tools.shim("-c", WHO).stdout) == ["a", at + "/bin/python", at, at + "/base"]
    rows = json.loads(tools.world.afield("doctor", "--json", check=False).stdout)["rows"]
    assert [row["state"] for row in rows if row["name"] in ("paths", "lost")] == ["ok"]
    tools.shim("-m", "venv", "--without-pip", "inner")
    inner = tools.run(str(tools.project / "inner" / "bin" / "python"), "-c", WHO)
    assert json.loads(inner.stdout)[2:] == [str(tools.project / "inner"), at + "/base"]
    # What the sync keeps there is where it was, and nothing of the environment comes here.
    tools.write("more.py", "x = 1\n")
    assert tools.shim("-c", "import more; print(more.x)").stdout == "1\n"
    assert not list((tools.project / ".afield" / "lib").iterdir())
    refused = tools.world.afield("clean", "--yes", check=False)
    assert "more.cpython" in refused.stderr
    assert ".afield" not in refused.stderr.partition("hint")[0].replace("afield: ", "")
    tools.world.afield("clean", "--yes", "--force")
    assert "project" not in tools.world.lab.a.run("ls", "-A", str(tools.project.parent), check=False).stdout
    assert tools.world.lab.a.run("ls", "/home/dev/.virtualenvs/ml/lib").stdout

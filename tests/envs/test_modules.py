"""Module files are read as Lmod and Environment Modules would, as far as plain assignments go."""

import pytest

from afield.envs.modules import paths_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#%Module\nset root /apps/py\nprepend-path PATH $root/bin\n", ["/apps/py/bin"]),
        ('#%Module\nset version 3.11\nset root "/apps/py/$version"\nprepend-path  PATH  ${root}/bin\n', ["/apps/py/3.11/bin"]),
        ("prepend-path --delim : PATH /x/bin\n", []),
        ("prepend-path MANPATH /x/man\nappend-path PATH /x/bin\n", ["/x/bin"]),
        ("set root [exec pwd]\nprepend-path PATH $root/bin\n", []),
        ("prepend-path PATH $unknown/bin\n", []),
        ('local root = "/apps/py"\nprepend_path("PATH", pathJoin(root, "bin"))\n', ["/apps/py/bin"]),
        ("prepend_path('PATH', '/apps/py/bin')\n", ["/apps/py/bin"]),
        ('local v = "3.11"\nlocal root = "/apps/" .. v\nprepend_path("PATH", root .. "/bin")\n', ["/apps/3.11/bin"]),
        ('-- prepend_path("PATH", "/no")\nprepend_path("PATH", os.getenv("X"))\n', []),
        ("", []),
    ],
)  # fmt: skip
def test_paths_of_a_module_file(text, expected):
    assert paths_of(text) == expected


def test_modules_are_found_below_modulepath_with_their_python(files):
    files.base("apps/python/3.11.3", "3.11.3")
    folder = files.folder("modulefiles")
    files.variables["MODULEPATH"] = f"{folder}:/nonexistent"
    files.text(
        "modulefiles/Python/3.11.3-GCC",
        f"#%Module\nset root {files.root}/apps/python/3.11.3\nprepend-path PATH $root/bin\n",
    )
    files.text("modulefiles/core/anaconda3/2024.lua", f'prepend_path("PATH", "{files.root}/gone/bin")\n')
    files.text("modulefiles/gcc/12", "prepend-path PATH /x/bin\n")
    files.text("modulefiles/python-tools/1", "prepend-path PATH /x/bin\n")
    found = files.found()
    assert set(found) == {("module", "Python/3.11.3-GCC"), ("module", "core/anaconda3/2024")}
    python = found["module", "Python/3.11.3-GCC"]
    assert (python["version"], python["setup"], python["broken"]) == ("3.11.3", ["module load Python/3.11.3-GCC"], None)
    assert python["python"].endswith(b"apps/python/3.11.3/bin/python")
    assert (
        found["module", "core/anaconda3/2024"]["broken"]
        == f"it puts {files.root}/gone/bin into PATH, which does not exist"
    )


def test_folders_are_known_without_a_shell(files):
    files.text("etc/environment-modules/modulespath", f"# here\n{files.root}/site-modules\n")
    files.text("site-modules/python/3.9", "prepend-path PATH /computed/$x/bin\n")
    env = files.found()["module", "python/3.9"]
    assert (env["version"], env["python"], env["broken"]) == ("3.9", None, None)


def test_a_name_that_would_be_shell_is_left_out(files):
    files.variables["MODULEPATH"] = str(files.folder("modulefiles"))
    files.text("modulefiles/python/3;touch x", "prepend-path PATH /x/bin\n")
    files.text("modulefiles/python/$(id)", "prepend-path PATH /x/bin\n")
    assert files.find()["envs"] == []

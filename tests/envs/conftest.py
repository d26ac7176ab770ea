"""A place made of files: home, /opt, /usr/share and /etc in one folder, filled by each test."""

import os
from pathlib import Path

import pytest

from afield.envs.candidates import Surroundings
from afield.envs.find import find

VERSION = "3.11.9"


class Files:
    """Makes environments as each tool leaves them."""

    def __init__(self, root):
        self.root = Path(root)
        self.home = self.folder("home/me")
        self.opt = self.folder("opt")
        self.bin = self.folder("usr/bin")
        self.etc = self.folder("etc")
        self.share = self.folder("usr/share")
        self.variables = {"PATH": str(self.bin)}

    def folder(self, path):
        made = self.root / path
        made.mkdir(parents=True, exist_ok=True)
        return made

    def text(self, path, text=""):
        made = self.root / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text)
        return made

    def interpreter(self, path):
        """An ELF file as far as anybody looks."""
        made = self.text(path, "\x7fELF")
        made.chmod(0o755)
        return made

    def base(self, prefix, version=VERSION):
        """A Python of its own: program, library, header with the version."""
        short = ".".join(version.split(".")[:2])
        program = self.interpreter(f"{prefix}/bin/python{short}")
        for name in ("python3", "python"):
            (program.parent / name).symlink_to(program.name)
        self.folder(f"{prefix}/lib/python{short}/site-packages")
        self.text(f"{prefix}/include/python{short}/patchlevel.h", f'#define PY_VERSION      "{version}"\n')
        return self.root / prefix

    def venv(self, prefix, *settings, base=None, version=VERSION):
        base = base or (self.root / "base" if (self.root / "base").exists() else self.base("base", version))
        short = ".".join(version.split(".")[:2])
        self.text(f"{prefix}/pyvenv.cfg", "\n".join([f"home = {base}/bin", f"version = {version}", *settings]))
        folder = self.folder(f"{prefix}/bin")
        (folder / "python").symlink_to(f"{base}/bin/python{short}")
        self.folder(f"{prefix}/lib/python{short}/site-packages")
        return self.root / prefix

    def conda(self, prefix, version=VERSION, *, python=True):
        self.text(f"{prefix}/conda-meta/history", "==> 2026-01-01 <==\n# cmd: conda create\n")
        if python:
            short = ".".join(version.split(".")[:2])
            self.text(f"{prefix}/conda-meta/python-{version}-h955ad1f_0.json", "{}")
            program = self.interpreter(f"{prefix}/bin/python{short}")
            (program.parent / "python").symlink_to(program.name)
            self.folder(f"{prefix}/lib/python{short}/site-packages")
        return self.root / prefix

    def package(self, env, name, version, version_of=VERSION):
        short = ".".join(version_of.split(".")[:2])
        path = Path(env) / "lib" / f"python{short}" / "site-packages" / f"{name}-{version}.dist-info"
        path.mkdir(parents=True)
        return path

    def where(self):
        return Surroundings(
            str(self.home),
            self.variables,
            made=str(self.home / ".local/share/afield/envs"),
            opt=(str(self.opt),),
            binaries=(str(self.bin),),
            etc=str(self.etc),
            share=str(self.share),
        )

    def find(self, *roots, **more):
        return find(self.where(), [str(root) for root in roots], **more)

    def found(self, *roots):
        """{(kind, name): environment} with the base that venvs hang on left out."""
        envs = self.find(*roots)["envs"]
        return {(env["kind"], env["name"]): env for env in envs}


@pytest.fixture
def files(tmp_path):
    return Files(os.path.realpath(tmp_path))

"""Makes small real wheels, so that tests of installing need no index and no network."""

import base64
import hashlib
import io
import os
import tarfile
import zipfile


def make_wheel(folder, name, version="1.0", *, tag="py3-none-any", requires=(), python=None):
    """Write a wheel with one module of that name (PEP 427); gives its file name."""
    os.makedirs(folder, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {text}" for text in requires]
    metadata += [f"Requires-Python: {python}"] if python else []
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = ""
    file_name = f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(os.path.join(folder, file_name), "w") as file:
        for path, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text.encode())}\n"
            file.writestr(path, text)
        file.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")
    return file_name


# A build backend (PEP 517) inside the source itself: it needs no index.
_BACKEND = """
import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wheelhouse import make_wheel
def build_wheel(folder, *rest):
    return make_wheel(folder, {name!r}, {version!r}, tag={tag!r})
def get_requires_for_build_wheel(*rest):
    return []
"""


def make_source(folder, name, version="1.0", *, tag="py3-none-any"):
    """Write a source distribution that builds a wheel with that tag."""
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "backend.py": _BACKEND.format(name=name, version=version, tag=tag),
    }
    with open(__file__, encoding="utf-8") as file:
        files["wheelhouse.py"] = file.read()
    with tarfile.open(os.path.join(folder, f"{name}-{version}.tar.gz"), "w:gz") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(f"{name}-{version}/{path}")
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))

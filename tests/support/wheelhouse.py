"""Makes small real wheels, so that tests of installing need no index and no network."""

import base64
import hashlib
import os
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

"""The build hook of the wheel: adds the compiled C shim and its SHA-256, and names the platform; without a compiler the wheel is pure.

Rules: the compile is the one of ``afield.shim.build``, loaded by its path, for nothing is installed while a wheel is built.
``AFIELD_PURE=1`` makes a pure wheel on purpose.
"""

from __future__ import annotations

import importlib.util
import os
import sysconfig
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ClientHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls it (tool.hatch.build.targets.wheel.hooks.custom in pyproject.toml)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the client and say where it goes."""
        if version == "editable" or os.environ.get("AFIELD_PURE"):
            return
        target = os.path.join(self.root, "build", "shim", "client")
        if not _builder(self.root).compile_client(target):
            self.app.display_warning("no C compiler works here: the wheel is pure, and the shim is the one in Python")
            return
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["force_include"][target] = "afield/shim/client"
        build_data["force_include"][target + ".sha256"] = "afield/shim/client.sha256"


def _builder(root: str) -> Any:
    spec = importlib.util.spec_from_file_location("shim_build", os.path.join(root, "src", "afield", "shim", "build.py"))
    if spec is None or spec.loader is None:
        raise ImportError("src/afield/shim/build.py is not there")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

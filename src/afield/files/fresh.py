"""Folders that one apply makes: built with all their content in staging, then moved into place at once  [P].

Why: a file in a folder that nobody sees yet is created under its own name with a single call and may be torn there
for a moment; that is the fastest way by far, and no half tree is ever seen. Rules: results of what is inside are
given out only when the folder is in place; if it cannot be put there, all of it is refused and the copy is removed.
"""

import os

from afield.errors import AfieldError
from afield.files import steps
from afield.files.bundle import stat_of
from afield.files.faults import from_os_error
from afield.files.handles import Handles, open_folder
from afield.files.stage import CREATE, Refused
from afield.files.state import remove_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

    from afield.files.columns import Row, StatRow
    from afield.files.roots import Root

    Result = Tuple[int, str, Any]


class Tree:
    """One new folder: its path, its name in staging, the results that wait for it."""

    __slots__ = ("path", "results", "staged")

    def __init__(self, path: "bytes", staged: "bytes") -> "None":
        self.path = path
        self.staged = staged
        self.results: "List[Result]" = []


class Fresh:
    """The new folders of one apply; ``places`` maps the path of each to (tree, path in staging)."""

    def __init__(self, staging: "int") -> "None":
        self.staging = staging
        self.handles = Handles(staging)
        self.places: "Dict[bytes, Tuple[Tree, bytes]]" = {}
        self.trees: "List[Tree]" = []
        self.size = 0

    def begin(self, path: "bytes", name: "bytes") -> "Tree":
        """Start a new tree for the folder ``path`` under the free staging name ``name``. Raises OSError."""
        os.mkdir(name, 0o777, dir_fd=self.staging)
        tree = Tree(path, name)
        self.trees.append(tree)
        self.places[path] = (tree, name)
        return tree

    def add_folder(self, path: "bytes", above: "bytes", name: "bytes") -> "Tree":
        """Make a folder inside one of ours. Raises OSError."""
        tree, where = self.places[above]
        os.mkdir(name, 0o777, dir_fd=self.handles.folder(where))
        self.places[path] = (tree, where + b"/" + name)
        return tree

    def put(self, data: "Any", where: "bytes", name: "bytes", row: "Any") -> "StatRow":
        """Write a file under its own name in the staged folder ``where``. Raises OSError; nothing is left then."""
        steps.at("stage")
        folder = self.handles.folders.get(where) or self.handles.folder(where)
        fd = os.open(name, CREATE, 0o777 if row[5] else 0o666, dir_fd=folder)
        try:
            size = len(data)
            done = os.write(fd, data)
            while done < size:
                done += os.write(fd, data[done:])
            os.utime(fd, ns=(row[6], row[6]))
            st = os.fstat(fd)
        except BaseException:
            os.unlink(name, dir_fd=folder)
            raise
        finally:
            os.close(fd)
        self.size += size
        return (st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns)

    def adopt(self, fd: "int", staged: "bytes", where: "bytes", row: "Row") -> "StatRow":
        """Move a staged file (open as ``fd``) into the staged folder ``where``. Raises OSError."""
        folder = self.handles.folder(where)
        os.utime(fd, ns=(row[6], row[6]))
        # Nobody else can be in there, so a rename replaces nothing but an earlier op of the same request.
        os.rename(staged, row[1].rpartition(b"/")[2], src_dir_fd=self.staging, dst_dir_fd=folder)
        self.size += row[4]
        return stat_of(os.fstat(fd))

    def publish(self, root: "Root") -> "List[Result]":
        """Move all trees into place and give the results, those of a tree that did not fit as refused or failed."""
        self.handles.forget()
        results: "List[Result]" = []
        trees, self.trees = self.trees, []
        self.places.clear()
        self.size = 0
        for tree in trees:
            status, value = self._move(root, tree)
            if status != "ok":
                self._drop(tree)
                tree.results = [
                    (index, status, value) if was == "ok" else (index, was, old) for index, was, old in tree.results
                ]
            results.extend(tree.results)
        return results

    def _move(self, root: "Root", tree: "Tree") -> "Tuple[str, Any]":
        try:
            folder, name = root.locate(tree.path)
            try:
                os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                # Even now a rename cannot hide anything: onto a folder with content or a file it fails.
                steps.at("publish")
                os.rename(tree.staged, name, src_dir_fd=self.staging, dst_dir_fd=folder)
                steps.at("published")
                return "ok", None
            raise Refused("something stands there already")
        except Refused as why:
            return "refused", str(why)
        except FileExistsError:
            return "refused", "something stands there already"
        except OSError as error:
            fault = from_os_error(error, tree.path)
            return "error", {"code": fault.code, "text": fault.text}
        except AfieldError as fault:
            return "error", {"code": fault.code, "text": fault.text}

    def _drop(self, tree: "Tree") -> "None":
        try:
            fd = open_folder(tree.staged, self.staging)
            try:
                remove_below(fd)
            finally:
                os.close(fd)
            os.rmdir(tree.staged, dir_fd=self.staging)
        except OSError:
            pass  # the next open sweeps

    def discard(self) -> "None":
        """Remove what was not published (the request was cancelled)."""
        self.handles.forget()
        for tree in self.trees:
            self._drop(tree)
        self.trees = []
        self.places.clear()

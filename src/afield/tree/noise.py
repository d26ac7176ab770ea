"""What no project wants at the other end, each with its reason  [P].

Rules: a pattern is here only when every Python, editor or system makes the thing anew by itself, or when a copy would
break something; what a person may have written is not. The user's own files can take each of these back, except the
locked ones.
"""

# No rule takes these back.
LOCKED = (
    (b".afield", "afield's own state: staging, history, shims"),
    (b".git", "copied file by file, a repository in use breaks; git itself carries it"),
)

BUILT_IN = (
    (b"__pycache__/", "compiled by each Python for itself"),
    (b"*.py[co]", "compiled by each Python for itself"),
    (b".venv/", "an environment works only where it was made"),
    (
        b"/venv/",
        "an environment works only where it was made",
    ),  # at the top only: deeper it may be a package of that name
    (b".pixi/", "an environment works only where it was made"),
    (b".tox/", "environments of a test run"),
    (b".nox/", "environments of a test run"),
    (b".eggs/", "packages fetched to build with"),
    (b"*.egg-info/", "written by each installation for itself"),
    (b"__pypackages__/", "packages installed for one machine"),
    (b"node_modules/", "packages installed for one machine, in very many files"),
    (b".mypy_cache/", "a cache"),
    (b".pytest_cache/", "a cache"),
    (b".ruff_cache/", "a cache"),
    (b".pytype/", "a cache"),
    (b".hypothesis/", "a cache of examples"),
    (b".ipynb_checkpoints/", "Jupyter's own copies of notebooks"),
    (b".hg/", "a repository in use breaks when it is copied file by file"),
    (b".svn/", "a working copy in use breaks when it is copied file by file"),
    (b".*.sw[a-p]", "an editor's swap file: it names a process on this machine"),
    (b"*.swp", "an editor's swap file: it names a process on this machine"),
    (b".#*", "an editor's lock: it names a process on this machine"),
    (b".*.afield-part", "the beginning of a file that `afield get` or `put` is still copying"),
    (b".DS_Store", "how a window on macOS looks"),
    (b"Thumbs.db", "previews made by Windows"),
    (b".nfs[0-9a-f]*", "a removed file that is still open, on a network file system"),
    (b".fuse_hidden*", "a removed file that is still open, on a network file system"),
)

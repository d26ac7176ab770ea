"""Which environment variables go along with a run. Pure.

Rules: a program that is started as a Python of the project gets what its caller has, but for what means something only here and for
what is named, or looks, like a password; any other command gets only what makes sense anywhere and what ``run.forward-env`` names.
What must not go in: what becomes of the values (mapping).
"""

from __future__ import annotations

import fnmatch
import functools
import re

# What means something only on the machine that set it.
_LOCAL_NAMES = frozenset(
    (
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "MAIL",
        "TMPDIR",
        "TMP",
        "TEMP",
        "PWD",
        "OLDPWD",
        "SHLVL",
        "_",
        "HOSTNAME",
        "PYTHONHOME",
        "PYTHONUSERBASE",
        "PYTHONEXECUTABLE",
        "PYTHONPLATLIBDIR",
        "VIRTUAL_ENV",
        "VIRTUAL_ENV_PROMPT",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "PIP_CERT",
        "PIP_CLIENT_CERT",
        "PIP_FIND_LINKS",
        "PIP_CONFIG_FILE",
        "PIP_CACHE_DIR",
        "PIP_REQUIRE_VIRTUALENV",
        "JPY_PARENT_PID",
        "KRB5CCNAME",
        "__PYVENV_LAUNCHER__",
        "ENV",
        "PS1",
        "PROMPT_COMMAND",
        "MANPATH",
        "INFOPATH",
        "JAVA_HOME",
        "GOPATH",
        "GOROOT",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "NVM_DIR",
        "UV",
        "EDITOR",
        "VISUAL",
        "PAGER",
    )
)
_LOCAL_PREFIXES = (
    "XDG_",
    "LD_",
    "DYLD_",
    "CONDA_",
    "PYENV_",
    "SSH_",
    "DBUS_",
    "AFIELD_",
    "GPG_",
    "TMUX",
    "VSCODE_",
    "PIP_LOG",
    "BASH_",
    "ZSH",
    "UV_CACHE",
    "UV_PYTHON",
    "POETRY_CACHE",
)
# What changes how a program looks or how Python runs, and names nothing of here.
_WELCOME = (
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR*",
    "COLORTERM",
    "PY_COLORS",
    "PYTHON*",
    "PYTEST_*",
    "DEBUGPY_*",
    "PYDEVD_*",
)
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|APIKEY|API_KEY|ACCESS_KEY|PRIVATE|COOKIE|KUBECONFIG|NETRC|_KEYS?$|^KEYS?$|_PAT$|_DSN$"
    r"|(^|_|SSH)PASS$|_PWD?$|_CREDS?$|(^|_)JWT|BEARER|CONNECTION_?STRING"
    r"|_AUTH$|^AUTH|_AUTH_|^(AWS|AZURE|GOOGLE|GCP|GCLOUD|GH|GITHUB|GITLAB)_",
    re.IGNORECASE,
)
# A password inside a URL (RFC 3986, section 3.2.1), as in DATABASE_URL or an index with a login. On the web the name alone may
# be one: a token needs no password.
_LOGIN = re.compile(rb"://[^/@\s]*:[^/@\s]*@|https?://[^/@\s]+@", re.IGNORECASE)


# Asked for each variable of each run, and the names hardly change between runs.
@functools.lru_cache(maxsize=4096)
def travels(name: str, patterns: tuple[str, ...]) -> bool:
    """Say whether the variable goes along: named outright, or matched and not one of here, or known to be welcome."""
    if not name or "=" in name:
        return False
    if name in patterns:
        return True
    if name in _LOCAL_NAMES or name.startswith(_LOCAL_PREFIXES):
        return False
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in _WELCOME):
        return not _SECRET.search(name)
    for pattern in patterns:
        if fnmatch.fnmatchcase(name, pattern):
            # A bare star means "my settings", not "my passwords"; WANDB_* means what it says.
            return pattern.strip("*?") != "" or not _SECRET.search(name)
    return False


def goes(name: str, value: bytes, patterns: tuple[str, ...], *, everything: bool) -> bool:
    """Say whether the variable goes along. ``everything``: for a Python of the project, what is of here or secret left out."""
    if travels(name, patterns):
        return True
    return everything and _harmless(name) and not (b"://" in value and _LOGIN.search(value))


@functools.lru_cache(maxsize=4096)
def _harmless(name: str) -> bool:
    if not name or "=" in name or name in _LOCAL_NAMES or name.startswith(_LOCAL_PREFIXES):
        return False
    return not _SECRET.search(name)

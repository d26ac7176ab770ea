"""The table of settings: name, kind, default, help. Pure.

Every setting can stand at the top (for all machines), in the user's own file, or below ``[machines.NAME]`` (for one).
What must not go in: reading files, or what a setting does.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, Final

from afield.errors import ConfigError

MODES: Final = ("two-way-safe", "two-way-here-wins", "two-way-there-wins", "push", "push-exact", "pull")
WAYS: Final = ("auto", "twin", "same", "translated")


@dataclass(frozen=True)
class Setting:
    """One row: ``section`` is ``""`` for keys of a machine itself, else the table that holds the key."""

    section: str
    name: str
    kind: str
    default: Any
    help: str

    @property
    def attribute(self) -> str:
        """The field of ``Machine`` that holds it: `env` names an environment, `run.env` are variables."""
        if self.key == "env":
            return "environment"
        return "mirror_auto" if self.key == "mirror.auto" else self.name.replace("-", "_")

    @property
    def key(self) -> str:
        """The dotted name that people see."""
        return f"{self.section}.{self.name}" if self.section else self.name


SETTINGS: Final = (
    Setting(
        "", "place", "text", None, "where: ssh://user@host[:port], a Host of ~/.ssh/config, local:// or local:///folder"
    ),
    Setting(
        "", "folder", "text", None, "the project's folder there, absolute or below your home; default ~/afield/PROJECT"
    ),
    Setting("", "python", "text", None, "the Python there that `afield python` runs; default: the first python3 found"),
    Setting(
        "",
        "env",
        "text",
        None,
        "the environment there that Python and commands run in: a name of `afield env list`, or a path",
    ),
    Setting(
        "",
        "way",
        "way",
        "auto",
        "how paths are the same on both sides, one of " + ", ".join(WAYS) + "; see same-paths",
    ),
    Setting(
        "",
        "envs",
        "envs",
        {},
        'tables [envs.NAME] with setup = ["module load cuda"]: shell lines before what runs in it',
    ),
    Setting(
        "", "agent-python", "text", None, "the Python there that carries the agent, when python3 is not the right one"
    ),
    Setting("", "ssh", "texts", (), 'extra words for the ssh command, such as ["-F", "lab.conf"]'),
    Setting("sync", "mode", "mode", "two-way-safe", "one of " + ", ".join(MODES)),
    Setting("sync", "pull", "texts", (), 'patterns of what only comes here, such as ["runs/**"]'),
    Setting("sync", "push", "texts", (), 'patterns of what only goes there, such as ["src/**"]'),
    Setting(
        "sync", "two-way", "texts", (), "patterns of what goes both ways when the mode is another, as two-way-safe"
    ),
    Setting("sync", "keep-there", "texts", (), 'patterns of what stays there, such as ["data/**"]; nothing is carried'),
    Setting("sync", "ignore", "texts", (), "more patterns to leave out, written as in .gitignore"),
    Setting("sync", "ask-above", "size", 1_000_000_000, "a first upload above this many bytes asks first"),
    Setting("sync", "ask-above-files", "count", 50_000, "a first upload of more files asks first"),
    Setting("sync", "limit", "rate", None, 'the most that goes over in a second, both ways together, such as "5 MB/s"'),
    Setting("sync", "git", "flag", False, "carry the git repository, too, by itself: commits, branches, tags"),
    Setting("run", "env", "env", {}, "variables that are set for every program there"),
    Setting(
        "run", "setup", "texts", (), 'shell lines there before every `python` and `run`, such as ["source env.sh"]'
    ),
    Setting("run", "forward-env", "texts", (), 'variables of here that travel, such as ["WANDB_*"]'),
    Setting(
        "mirror",
        "auto",
        "flag",
        True,
        "keep a mirror that was made once fresh: at `up`, after `env use` and `env install`; the first is made by `afield mirror sync`",
    ),
)
# Below [folders.NAME]; what is not here is the project's.
FOLDER_SETTINGS: Final = (
    Setting("", "here", "text", None, "the folder here, absolute or as seen from the project's folder"),
    Setting("", "there", "text", None, "the folder there, absolute, ~/… or as seen from the project's folder there"),
    *(
        Setting("", each.name, each.kind, None if each.name == "mode" else each.default, each.help)
        for each in SETTINGS
        if each.section == "sync" and each.name in ("mode", "pull", "push", "two-way", "keep-there", "ignore")
    ),
)
SECTIONS: Final = tuple(dict.fromkeys(setting.section for setting in SETTINGS if setting.section))

_SIZE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)(i?)[bB]?\s*\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


def parse_size(text: str | int) -> int:
    """Give the bytes of ``"1.5 GB"``, ``"64MiB"`` or a plain number. Raises ConfigError."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    match = _SIZE.match(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"expected a size such as 500 MB or 2 GiB, got {text!r}")
    number, prefix, binary = match.groups()
    step = 1024 if binary else 1000
    return int(float(number) * step ** "kMGT".find(prefix.replace("K", "k")) * step if prefix else float(number))


def check_machine_name(name: str) -> str:
    """Return name when it can name a machine: letters, digits, dot, dash, underscore. Raises ConfigError."""
    if not _NAME.match(name):
        raise ConfigError(
            f"a machine's name has letters, digits, '.', '_' and '-', got {name!r}", hint="give one with --name NAME"
        )
    return name


def check_value(setting: Setting, value: Any, where: str) -> Any:
    """Return value in its working form. Raises ConfigError that names the place in the file."""
    good = _CHECKS[setting.kind](value)
    if good is None:
        expected = _EXPECTED[setting.kind]
        hint = setting.help if setting.help != expected else f'for example mode = "{MODES[0]}"'
        raise ConfigError(f"{where}: {setting.key} expects {expected}, got {value!r}", hint=hint)
    return good


def unknown_key(key: str, known: list[str], where: str) -> ConfigError:
    """Make the error for a key that is in no table, with the nearest known one as the hint."""
    plain = key.replace("_", "-")
    elsewhere = [setting for setting in SETTINGS if setting.section and plain == setting.name and plain not in known]
    if elsewhere:
        return ConfigError(
            f"{where}: unknown setting {key!r}",
            hint=f"it belongs to [{elsewhere[0].section}]: write {elsewhere[0].key} = …",
        )
    near = difflib.get_close_matches(plain, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(known)
    return ConfigError(f"{where}: unknown setting {key!r}", hint=hint)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and "\0" not in value else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, list | tuple) and all(isinstance(item, str) and "\0" not in item for item in value):
        return tuple(value)
    return None


def _mode(value: Any) -> str | None:
    return value if value in MODES else None


def _way(value: Any) -> str | None:
    return value if value in WAYS else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _size(value: Any) -> int | None:
    try:
        return parse_size(value)
    except ConfigError:
        return None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _rate(value: Any) -> int | None:
    text = value.strip().removesuffix("/s") if isinstance(value, str) else value
    return _size(text) or None


def _env(value: Any) -> dict[str, str] | None:
    if not isinstance(value, dict):
        return None
    good = {}
    for name, item in value.items():
        if (
            not isinstance(item, str | int | float)
            or isinstance(item, bool)
            or "=" in name
            or not name
            or "\0" in f"{name}{item}"
        ):
            return None
        good[name] = str(item)
    return good


def _envs(value: Any) -> dict[str, tuple[str, ...]] | None:
    if not isinstance(value, dict):
        return None
    good = {}
    for name, table in value.items():
        lines = _texts(table.get("setup", ())) if isinstance(table, dict) and set(table) <= {"setup"} else None
        if lines is None:
            return None
        good[name] = lines
    return good


_CHECKS = {
    "envs": _envs,
    "text": _text,
    "texts": _texts,
    "mode": _mode,
    "way": _way,
    "count": _count,
    "size": _size,
    "rate": _rate,
    "flag": _flag,
    "env": _env,
}
_EXPECTED = {
    "envs": "tables of an environment's name with setup, a list of texts",
    "text": "a text that is not empty",
    "texts": "a list of texts",
    "mode": "one of " + ", ".join(MODES),
    "way": "one of " + ", ".join(WAYS),
    "count": "a whole number",
    "size": "a size such as 500 MB",
    "rate": "a rate such as 5 MB/s",
    "flag": "true or false",
    "env": "a table of texts",
}

"""Environments → text for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from afield.cli.render import plural, table

if TYPE_CHECKING:
    from collections.abc import Mapping

Env = dict[str, Any]


def envs_text(found: dict[str, Any]) -> str:
    """All environments, the one in use marked; the broken ones with their reason below."""
    envs: list[Env] = found["envs"]
    if not envs:
        return "no Python was found there"
    rows = [["", "name", "kind", "python", "packages", "has", "path"]]
    for env in envs:
        has = ", ".join(f"{name} {env[name]}" for name in ("ipykernel", "debugpy") if env.get(name))
        mark = "*" if found.get("use") == env["path"] else "!" if env["broken"] else ""
        count = "" if env["kind"] == "module" else str(env["packages"])
        rows.append([mark, env["name"], env["kind"], env["version"] or "?", count, has, env["path"]])
    lines = [table(rows)]
    lines += [f"! {env['name']} ({env['path']}): {env['broken']}" for env in envs if env["broken"]]
    if not found.get("complete", True):
        lines.append("the search was cut short: the disk there is slow, or there is very much")
    return "\n".join(lines)


def export_lines(packages: list[list[str]]) -> list[str]:
    """The packages as pip's requirements: pins, and origins where there are any."""
    lines = []
    for name, version, origin in packages:
        if origin.startswith("-e "):
            lines.append(origin)
        elif origin:
            lines.append(f"{name} @ {origin}")
        else:
            lines.append(f"{name}=={version}" if version else name)
    return lines


def export_value(told: dict[str, Any]) -> dict[str, Any]:
    """The same for programs; the keys are those of docs/how-to/environments.md."""
    packages = [{"name": name, "version": version, "origin": origin} for name, version, origin in told["packages"]]
    env = {name: told["env"][name] for name in ("name", "kind", "version", "path", "python")}
    return {"env": env, "packages": packages, "requirements": export_lines(told["packages"])}


def differences(here: Mapping[str, tuple[str, str]], there: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """What is not the same: normalised name → (name, version) on both sides; null where it is missing."""
    rows = []
    for key in sorted({*here, *there}):
        name, mine = here.get(key, ("", None))
        other, theirs = there.get(key, ("", None))
        if mine != theirs:
            rows.append({"package": name or other, "here": mine, "there": theirs})
    return rows


def diff_text(done: dict[str, Any]) -> str:
    """The differences as columns."""
    rows = [["package", "here", "there"]]
    rows += [[row["package"], row["here"] or "-", row["there"] or "-"] for row in done["differences"]]
    if len(rows) == 1:
        return f"the same {plural(done['same'], 'package')} on both sides"
    return table(rows)


def installed_text(done: dict[str, Any]) -> str:
    """What an install brought."""
    rows = done["installed"]
    if not rows:
        return f"{done['env']['name']}: everything is there already"
    return f"{done['env']['name']}: " + ", ".join(f"{name} {version}" for name, version, _ in rows)

"""Jobs → text for people, and two looks → rates. Pure: the time comes in."""

from __future__ import annotations

from typing import Any

from afield.cli.render import plural, size, table
from afield.cli.render_status import ago
from afield.cli.terminal import colour, one_line, printable

_COMMAND = 60


def state_text(job: dict[str, Any]) -> str:
    """Say how a job stands, in a few words."""
    ended = job.get("exit") or {}
    if "exit" in ended:
        word = "done" if ended["exit"] == 0 else f"exit {ended['exit']}"
    elif "killed" in ended:
        word = f"signal {ended['killed']}"
    else:
        word = str(job["state"])
    return word + (", others still write" if job.get("writes") else "")


def span_text(job: dict[str, Any], now: float) -> str:
    """Say how long it ran, or waits. ``now`` is used only when the place does not say its own."""
    clock = job.get("now") or now
    begin = job.get("started") or job.get("created") or clock
    return ago((job.get("ended") or clock) - begin)


def jobs_text(jobs: list[dict[str, Any]], now: float, *, every: bool = False, width: int | None = None) -> str:
    """List jobs, oldest first. ``width``: columns of the terminal, so that each stays on a line of its own."""
    if not jobs:
        return "no jobs" + (" there" if every else " of this project there; all of yours: afield jobs --all")
    rows = [["job", "name", "state", "for", "gpu", "output", "command"]]
    for job in jobs:
        words = " ".join(str(word) for word in job["argv"])
        rows.append(
            [
                str(job["number"]),
                job["name"],
                state_text(job),
                span_text(job, now),
                ",".join(map(str, job["gpus"])) or "-",
                size(job["output"]),
                words if len(words) <= _COMMAND else words[: _COMMAND - 1] + "…",
            ]
        )
    lines = [
        line if width is None or len(line) <= width else line[: width - 1] + "…" for line in table(rows).split("\n")
    ]
    lines += [f"{job['number']}: {printable(job['why'])}" for job in jobs if job["why"] and job["state"] != "running"]
    for job in jobs:
        if job["lost"]:
            lines.append(f"{job['number']}: {size(job['lost'])} of its output were not kept: the disk there was full")
        if job["state"] == "keeper gone":
            alive = ", its program still runs" if job["alive"] else ""
            lines.append(f"{job['number']}: its keeper was killed: output and status are known until then{alive}")
    return "\n".join(lines)


def ended_lines(jobs: list[dict[str, Any]]) -> str:
    """Say how each ended."""
    return "\n".join(
        one_line(f"job {job['number']} ({job['name']}): {state_text(job)}" + (f": {job['why']}" if job["why"] else ""))
        for job in jobs
    )


def rates(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Give a look with ``cpu`` in percent, for the machine (of all processors) and for each job (of one)."""
    seconds = now["time"] - before["time"]
    then = {job["id"]: job.get("use") or {} for job in before["jobs"]}
    jobs = []
    for job in now["jobs"]:
        use, old = job.get("use"), then.get(job["id"], {})
        cpu = None
        if use and "ticks" in old and seconds > 0:
            cpu = max(0.0, 100.0 * (use["ticks"] - old["ticks"]) / now["hz"] / seconds)
        jobs.append({**job, "cpu": cpu})
    machine, past = now["machine"], before["machine"]
    share = None
    if machine.get("all") is not None and past.get("all") is not None and machine["all"] > past["all"]:
        share = 100.0 * (machine["busy"] - past["busy"]) / (machine["all"] - past["all"])
    return {**now, "jobs": jobs, "machine": {**machine, "cpu": share}}


def top_text(look: dict[str, Any], width: int = 80) -> str:
    """Give the page of `afield top`."""
    machine, memory = look["machine"], look["machine"].get("memory") or {}
    lines = [colour(printable(f"{look['host']}  {look['place']}"), "bold")]
    cpu = f"{machine['cpu']:.0f} %" if machine.get("cpu") is not None else "?"
    lines.append(f"cpu     {_bar(machine.get('cpu'))} {cpu} of {plural(int(machine.get('cpus') or 0), 'processor')}")
    if memory.get("total"):
        used = memory["total"] - (memory.get("available") or 0)
        lines.append(f"memory  {_bar(100 * used / memory['total'])} {size(used)} of {size(memory['total'])}")
    for gpu in look["gpus"]:
        total, used = gpu.get("memory_total") or 0, gpu.get("memory_used") or 0
        share = 100 * used / total if total else None
        busy = f"{gpu['utilization']} %" if gpu.get("utilization") is not None else "?"
        lines.append(
            f"gpu {gpu['index']:<3} {_bar(share)} {size(used)} of {size(total)}, {busy} busy  {printable(gpu['name'])}"
        )
    lines.append("")
    rows = [["job", "name", "state", "for", "cpu", "memory", "gpu", "gpu memory", "processes"]]
    for job in look["jobs"]:
        use = job.get("use") or {}
        gpus = use.get("gpus") or job["gpus"]
        rows.append(
            [
                str(job["number"]),
                job["name"],
                state_text(job),
                span_text(job, look["time"]),
                "-" if job.get("cpu") is None else f"{job['cpu']:.0f} %",
                size(use["memory"]) if use else "-",
                ",".join(map(str, gpus)) or "-",
                size(use["gpu_memory"]) if use.get("gpu_memory") else "-",
                str(use.get("processes", "-")),
            ]
        )
    lines += table(rows).split("\n") if look["jobs"] else ["no job runs"]
    return "\n".join(line[: max(20, width)] if "\033" not in line else line for line in lines)


def _bar(percent: float | None, width: int = 20) -> str:
    full = 0 if percent is None else min(width, max(0, round(percent / 100 * width)))
    return "[" + "#" * full + "." * (width - full) + "]"

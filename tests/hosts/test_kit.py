"""The test kit itself: hosts are apart, cables can be pulled, each way to log in works, and a killed run leaves nothing for long."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import askpass
import lab as lab_module
import pytest

SUPPORT = Path(lab_module.__file__).parent
needs_lab = pytest.mark.netns


def ssh(argv, *words, **more):
    return subprocess.run(
        [*argv, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, **more
    )


def asking(tmp_path):
    """The environment in which ssh asks askpass.py."""
    log = tmp_path / "prompts"
    script = tmp_path / "askpass"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {SUPPORT}/askpass.py "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "ASKPASS_LOG": str(log)}, log


@pytest.mark.ssh
def test_private_sshd_takes_the_current_user(private_sshd):
    done = ssh(private_sshd.ssh, private_sshd.host, "id -u")
    assert (done.returncode, done.stdout.strip()) == (0, str(os.getuid())), done.stderr


@needs_lab
def test_each_host_is_its_own(lab):
    for host in lab.hosts:
        done = ssh(lab.ssh, host.name, "hostname; id -u; echo $HOME; sudo -n true 2>/dev/null || echo no sudo")
        assert done.stdout.split("\n")[:4] == [host.name, "5001", "/home/dev", "no sudo"], done.stderr
    ssh(lab.ssh, "a", "echo mine > ~/file")
    assert ssh(lab.ssh, "c", "ls ~/file").returncode != 0


@needs_lab
def test_b_is_reached_through_a_only(lab):
    direct = ssh(
        [*lab.client, "ssh", "-F", str(lab.config), "-o", "ProxyJump=none", "-o", "ConnectTimeout=2"], "b", "true"
    )
    assert direct.returncode == 255
    assert "unreachable" in direct.stderr.lower()
    lab.a.halt()
    assert ssh([*lab.ssh, "-o", "ConnectTimeout=2"], "b", "true").returncode == 255
    lab.a.boot()
    assert ssh(lab.ssh, "b", "hostname").stdout == "b\n"


@needs_lab
def test_a_cut_is_silent_and_heals_without_loss(lab):
    code = "import time\nfor i in range(60):\n print(i, flush=True)\n time.sleep(0.05)"
    with subprocess.Popen(
        [*lab.ssh, "a", f"python3 -c '{code}'"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        first = [process.stdout.readline() for _ in range(3)]
        lab.a.cut()
        done = ssh([*lab.ssh, "-o", "ConnectTimeout=1"], "a", "true")
        assert done.returncode == 255
        assert process.poll() is None
        lab.a.heal()
        rest = process.stdout.read().split()
        assert [line.strip() for line in first] + rest == [b"%d" % i for i in range(60)]
        assert process.wait(20) == 0


@needs_lab
def test_a_reset_ends_the_client_at_once(lab):
    with subprocess.Popen(
        [*lab.ssh, "c", "echo up; sleep 600"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"up\n"
        lab.c.reset_connections()
        assert process.wait(20) == 255


@needs_lab
def test_a_reboot_keeps_the_files_and_ends_the_processes(lab):
    with subprocess.Popen(
        [*lab.ssh, "c", "echo kept > ~/kept; echo up; sleep 600"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout.readline() == b"up\n"
        lab.c.halt()
        assert process.wait(20) == 255
    lab.c.boot()
    assert ssh(lab.ssh, "c", "cat ~/kept; ps -e -o comm= | grep -c sleep").stdout == "kept\n0\n"


@needs_lab
def test_a_password_login(lab):
    lab.c.authentication("password")
    assert ssh([*lab.ssh, "-o", "BatchMode=yes"], "c", "true").returncode == 255
    done = ssh([*lab.client, "sshpass", "-p", lab_module.PASSWORD, *lab.ssh[4:]], "c", "hostname")
    assert (done.returncode, done.stdout) == (0, "c\n"), done.stderr


@needs_lab
@pytest.mark.parametrize(
    ("way", "prompts"), [("2fa", ["Password: ", "One-time password"]), ("key+otp", ["One-time password"])]
)
def test_a_one_time_code_login(lab, tmp_path, way, prompts):
    lab.c.authentication(way)
    env, log = asking(tmp_path)
    done = ssh(lab.ssh, "c", "hostname", env=env)
    assert (done.returncode, done.stdout) == (0, "c\n"), done.stderr
    asked = log.read_text().splitlines()
    assert len(asked) == len(prompts)
    assert all(part in prompt for part, prompt in zip(prompts, asked, strict=True))


@needs_lab
def test_a_code_is_good_once(lab, tmp_path):
    lab.c.authentication("2fa")
    env, _ = asking(tmp_path)
    assert ssh(lab.ssh, "c", "true", env=env).returncode == 0
    again = ssh([*lab.ssh, "-o", "NumberOfPasswordPrompts=1"], "c", "true", env=env)
    assert again.returncode == 255


@needs_lab
@pytest.mark.parametrize("shell", ["/bin/tcsh", "/usr/bin/fish", "/usr/bin/zsh"])
def test_a_user_with_another_login_shell(lab, shell):
    if not os.path.exists(shell):
        pytest.skip(f"no {os.path.basename(shell)} on this machine")
    name = "u" + os.path.basename(shell)
    lab.c.add_user(name, shell)
    assert ssh([*lab.ssh, "-l", name], "c", "echo $SHELL").stdout.strip() == shell


@needs_lab
def test_a_host_without_python(lab):
    lab.c.run("mv", "/usr/bin/python3", "/usr/bin/python3.away")
    assert ssh(lab.ssh, "c", "python3 -c pass").returncode == 127
    lab.c.run("mv", "/usr/bin/python3.away", "/usr/bin/python3")
    assert ssh(lab.ssh, "c", "python3 -c pass").returncode == 0


@needs_lab
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path):
    reason = lab_module.why_not()
    if reason:
        pytest.skip(reason)
    code = textwrap.dedent(
        """
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from lab import Lab
        made = Lab(sys.argv[2], base="afk").up()
        print(made.prefix, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    first = tmp_path / "first"
    first.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(SUPPORT), str(first)], capture_output=True, text=True, check=False
    )
    prefix = done.stdout.strip()
    assert done.returncode == -9, done.stderr
    assert (lab_module.NETNS / f"{prefix}a").exists()
    second = tmp_path / "second"
    second.mkdir()
    made = lab_module.Lab(second, base="afk")
    assert made.prefix == prefix
    assert not list(lab_module.NETNS.glob(f"{prefix}*"))
    assert not (first / "aflab").exists()
    made.down()
    shutil.rmtree(second)


def test_the_codes_are_those_of_the_standard():
    """RFC 6238, appendix B, the last six of its eight digits."""
    known = {59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037"}
    assert {now: askpass.code(b"12345678901234567890", now) for now in known} == known

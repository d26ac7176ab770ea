"""A place that cannot carry an agent, or cannot be reached: a clear message, a hint, and nothing is written."""

import os
import shutil
import subprocess

import pytest
import pythons

pytestmark = [pytest.mark.ssh, pytest.mark.slow]


def refused(world, place="ssh://gpu1", *more):
    done = world.init(place, *more, check=False)
    assert done.returncode not in (0, 1, 70), (done.returncode, done.stderr)
    assert "hint:" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not (world.project / "afield.toml").exists()
    return done.stderr


def test_a_host_that_does_not_exist(make_world):
    world = make_world()
    world.box.add_host("nowhere", "HostName nowhere.invalid")
    assert "the name nowhere.invalid means nothing here" in refused(world, "ssh://nowhere")


def test_a_host_that_refuses_the_connection(make_world):
    world = make_world()
    world.box.add_host("closed", "Port 9")
    assert "nothing listens on port 9\nhint: is sshd running there" in refused(world, "ssh://closed")


def test_a_wrong_key(make_world):
    world = make_world()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(world.root / "other")], check=True)
    world.box.add_host("stranger", f"IdentityFile {world.root}/other")
    config = world.box.config.read_text()
    begin = config.index("Host stranger")
    world.box.config.write_text(config[:begin] + config[begin:].replace(f"  IdentityFile {world.box.key}\n", ""))
    told = refused(world, "ssh://stranger")
    assert "refused the login" in told
    assert "afield keys setup stranger" in told


def test_a_changed_host_key_names_the_file_and_the_command(make_world):
    world = make_world()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(world.root / "other")], check=True)
    other = " ".join((world.root / "other.pub").read_text().split()[:2])
    world.box.known_hosts.write_text(f"box-key {other}\n")
    told = refused(world)
    assert "another ED25519 host key than the one in" in told
    assert str(world.box.known_hosts) in told
    assert f'ssh-keygen -f "{world.box.known_hosts}" -R "box-key"' in told


def test_an_unknown_host_key_is_never_taken_unasked(make_world):
    world = make_world()
    world.box.known_hosts.write_text("")
    told = refused(world)
    assert "the host key of" in told
    assert "log in once by hand and compare the fingerprint: ssh gpu1 true" in told
    assert world.box.known_hosts.read_text() == ""


def test_only_python_2_there(make_world):
    two = pythons.python2()
    if two is None:
        pytest.skip("no Python 2 on this machine")
    world = make_world()
    told = refused(world, "ssh://gpu1", "--agent-python", two)
    assert "the Python at ssh://gpu1 is too old" in told
    assert "Python 3.6 or newer there" in told


def test_the_python_that_is_named_does_not_exist(make_world):
    assert "/no/such/python" in refused(make_world(), "ssh://gpu1", "--agent-python", "/no/such/python")


def test_a_login_shell_that_ends(make_world):
    world = make_world(lines=['ForceCommand echo "This account is currently not available."; exit 1'])
    told = refused(world)
    assert "the account at ssh://gpu1 may not run commands: This account is currently not available." in told
    assert "ask its administrator" in told


def test_a_banner_is_no_problem(make_world):
    world = make_world(banner_rc='printf "Welcome to the cluster!\\nQuota: 99%%\\n"; echo careful >&2')
    world.init()
    assert world.afield("run", "echo", "hello").stdout == "hello\n"


@pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh", "dash", "bash"])
def test_every_login_shell_is_no_problem(make_world, shell):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"no {shell} on this machine")
    world = make_world(shell=path)
    world.init()
    assert world.afield("run", "echo", 'it\'s $HOME "quoted" *').stdout == 'it\'s $HOME "quoted" *\n'


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a file system needs root")
@pytest.mark.parametrize("options", ["size=16k,nr_inodes=4", "ro", "noexec"])
def test_a_full_or_read_only_or_noexec_home_is_no_problem(make_world, options):
    world = make_world()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(world.home)], check=True)
    try:
        world.init()
        (world.project / "hello.py").write_text("print('hello')\n")
        world.afield("up", "--yes")
        assert world.afield("python", "hello.py").stdout == "hello\n"
        world.afield("daemon", "stop", "--force")
    finally:
        subprocess.run(["umount", "-l", str(world.home)], check=True)

"""The demo as a newcomer runs it: every step of the main job works."""

import os
import subprocess
import sys
from pathlib import Path


def test_every_step_of_the_demo_works(tmp_path):
    afield = str(Path(sys.executable).with_name("afield"))
    env = {**os.environ, "HOME": str(tmp_path), "NO_COLOR": "1"}
    done = subprocess.run([afield, "demo"], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("✓") == 13
    assert done.stdout.endswith("\n13 of 13 steps did what they show\n")
    assert "a job " in done.stdout
    assert os.listdir(tmp_path) == [] or "afield" not in os.listdir(tmp_path)

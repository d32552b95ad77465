"""Every public name of the AWS X-Ray SDK is in fluoro's, with signatures that take the same calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fluoro
import xray_surface


def test_every_public_name_is_there_and_takes_the_same_arguments():
    env = {key: value for key, value in os.environ.items() if not key.startswith(("FLUORO_", "AWS_"))}
    done = subprocess.run(
        [sys.executable, xray_surface.__file__], env=env | {"PYTHONPATH": str(Path(fluoro.__file__).parents[1])},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {name: problems for name, problems in found.items() if problems} == {}
    assert len(found) > 50

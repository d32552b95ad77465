import subprocess
from pathlib import Path

import pytest

from fluoro_dashboard import assets

pytestmark = pytest.mark.browser  # the same prerequisite: a JavaScript engine (node's own test runner, no packages)
TESTS = Path(__file__).parent / "js"


@pytest.mark.parametrize("name", sorted(path.name for path in TESTS.glob("*.test.mjs")))
def test_pure_modules(name):
    done = subprocess.run(
        ["node", "--test", str(TESTS / name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(assets.DIRECTORY.glob("*.js")), ids=lambda path: path.name)
def test_syntax(path):
    done = subprocess.run(
        ["node", "--input-type=module", "--check"],
        input=path.read_bytes(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()

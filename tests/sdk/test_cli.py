from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

import fluoro
from fluoro import cli


def test_without_a_command_it_teaches(capsys):
    assert cli.main([]) == 0
    text = capsys.readouterr().out
    for line in ("fluoro demo", "fluoro run python app.py", "fluoro serve", "fluoro dashboard"):
        assert line in text


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"fluoro {fluoro.__version__}\n"


def test_run_without_a_command_asks_for_one(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["run"])
    assert caught.value.code == 2
    assert "fluoro run python app.py" in capsys.readouterr().err


def test_a_mistyped_option_is_told_with_the_options_of_its_command(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "--htp-port", "4318"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "--http-port" in said
    assert "unknown argument: --htp-port" in said


@pytest.mark.parametrize("command", ["serve", "dashboard", "demo"])
def test_a_command_above_the_sdk_gets_its_arguments_from_its_own_module(monkeypatch, capsys, command):
    module = ModuleType("above")
    module.add_arguments = lambda parser: parser.add_argument("--data")
    module.main = lambda args: 3 if args.data == "x" else 0
    monkeypatch.setitem(sys.modules, cli._ABOVE[command][0], module)
    assert cli.main([command, "--data", "x"]) == 3


_SDK_ALONE = """
import sys

class NothingElse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"boto3", "chdb", "clickhouse_driver", "flask", "grpc", "moto", "starlette", "streamlit", "uvicorn"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NothingElse())
from fluoro import cli
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("command", "extra"), [("serve", "collector"), ("dashboard", "dashboard"), ("demo", "demo")])
def test_a_missing_extra_is_named_with_the_line_to_type(tmp_path, command, extra):
    done = subprocess.run(
        [sys.executable, "-c", _SDK_ALONE, command],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    assert f"pip install 'fluoro[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bug_in_our_own_imports_is_not_called_a_missing_extra(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'fluoro.gone'", name="fluoro.gone")

    monkeypatch.setattr(cli, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["serve"])


def test_help_of_the_sdk_alone_imports_nothing_above(monkeypatch, capsys):
    monkeypatch.setattr(cli, "import_module", lambda name: pytest.fail(f"imported {name}"))
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    assert "serve" in capsys.readouterr().out

"""Which instrumentors are found, from the metadata of installed distributions."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fluoro.otel.discovery import Instrumentor, installed


class Site:
    """A folder like site-packages."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.add("opentelemetry-instrumentation", ["opentelemetry/instrumentation/__init__.py"])

    def add(
        self, name: str, files: list[str], requires: tuple[str, ...] = (), entries: str = "", top: str = ""
    ) -> None:
        metadata = self.path / f"{name.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir(parents=True)
        for file in files:
            (self.path / file).parent.mkdir(parents=True, exist_ok=True)
            (self.path / file).touch()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", *(f"Requires-Dist: {each}" for each in requires)]
        text = "Requires-Dist: not-this; extra == 'instruments'"
        (metadata / "METADATA").write_text("\n".join([*lines, "", text]))
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        (metadata / "entry_points.txt").write_text(entries)
        if top:
            (metadata / "top_level.txt").write_text(top)

    def instrumentor(self, name: str, *requires: str, entry: str = "") -> None:
        self.add(
            f"otel-{name}",
            [],
            requires,
            f"[other]\na = b\n[opentelemetry_instrumentor]\n{entry or name} = lib:Cls\n[x]\nc = d\n",
        )

    def found(self) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
        return {each.name: (each.instruments, each.modules) for each in installed([str(self.path)])}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_nothing_is_read_without_the_package_that_they_all_need(tmp_path, monkeypatch):
    monkeypatch.setattr("os.listdir", None)
    assert installed([str(tmp_path), "/nowhere", ""]) == []


def test_a_library_is_found_by_its_distribution(site):
    site.instrumentor("pika", "wrapt<3", "pika>=0.12.0; extra == 'instruments'")
    site.add("pika", ["pika/__init__.py"])
    assert site.found() == {"pika": (("pika",), ("pika",))}


@pytest.mark.parametrize(
    ("files", "top", "modules"),
    [
        (["kafka/__init__.py", "kafka/vendor/__init__.py"], "", ("kafka",)),
        (["kafka/__init__.py", "test/__init__.py"], "test\nkafka", ("kafka",)),
        (["google/kafka/__init__.py", "google/kafka/a/__init__.py"], "google", ("google.kafka",)),
        (["kafka.py", "kafka_python-1.0.dist-info/x.py"], "", ("kafka",)),
        ([], "", ("kafka_python",)),
    ],
    ids=["package", "top level", "namespace", "single file", "editable"],
)
def test_what_a_distribution_is_imported_as(site, files, top, modules):
    site.instrumentor("kafka", 'Kafka_Python>=2.0; extra == "instruments"')
    site.add("kafka-python", files, top="\n".join(top.split("\n")[::-1]))
    assert site.found() == {"kafka": (("kafka-python",), modules)}


def test_a_library_that_is_not_installed_is_waited_for_by_nobody(site):
    site.instrumentor("pika", "pika; extra == 'instruments'")
    assert site.found() == {"pika": (("pika",), ())}


def test_of_several_libraries_it_waits_for_the_one_it_is_called_after(site):
    site.instrumentor("tortoiseorm", "pydantic; extra == 'instruments'", "tortoise-orm; extra == 'instruments'")
    site.add("tortoise-orm", ["tortoise/__init__.py"])
    assert site.found() == {"tortoiseorm": (("tortoise-orm",), ())}
    site.add("pydantic", ["pydantic/__init__.py"])
    assert site.found() == {"tortoiseorm": (("tortoise-orm",), ("tortoise",))}


def test_of_alternatives_it_waits_for_each_that_is_there(site):
    both = ("cassandra-driver; extra == 'instruments-any'", "scylla-driver; extra == 'instruments-any'")
    site.instrumentor("cassandra", *both)
    site.add("scylla-driver", ["cassandra/__init__.py"], top="cassandra")
    assert site.found() == {"cassandra": (("cassandra-driver", "scylla-driver"), ("cassandra",))}


def test_an_instrumentor_of_python_itself(site):
    site.instrumentor("asyncio")
    site.instrumentor("urllib")
    site.instrumentor("mystery")
    assert site.found() == {"asyncio": ((), ("asyncio",)), "urllib": ((), ("urllib.request",)), "mystery": ((), ())}


def test_the_first_on_the_path_counts(site, tmp_path):
    site.instrumentor("pika", "pika; extra == 'instruments'")
    other = Site(tmp_path / "second")
    other.instrumentor("pika", "other; extra == 'instruments'")
    [found] = installed([str(site.path), str(other.path)])
    assert found.instruments == ("pika",)


def test_broken_metadata_is_as_if_it_were_absent(site):
    site.add("garbage", [], entries="[opentelemetry_instrumentor]\n# comment\nnothing here\n")
    folder = site.path / "folder-1.0.dist-info"
    (folder / "entry_points.txt").mkdir(parents=True)
    (site.path / ".dist-info").mkdir()
    assert site.found() == {}


def test_the_same_are_found_as_by_importlib():
    ours = {(each.name, each.value) for each in installed(sys.path)}
    assert ours == {(each.name, each.value) for each in entry_points(group="opentelemetry_instrumentor")}
    assert {"requests", "jinja2"} <= {name for name, _ in ours}
    jinja = next(each for each in installed(sys.path) if each.name == "jinja2")
    assert isinstance(jinja, Instrumentor)
    assert jinja.modules == ("jinja2",)

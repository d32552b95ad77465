from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from clickhouse_nodes import running_nodes
from fluoro_collector.store.configuration import Configuration
from fluoro_collector.store.engine import StoreBusy
from fluoro_collector.store.store import Store
from query_store import empty, open_store


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module", params=["embedded", "server"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    directory = tmp_path_factory.mktemp("store")
    if request.param == "embedded":
        with open_store(directory) as store:
            yield store
    else:
        with running_nodes(directory) as (node,), open_store(f"clickhouse://{node.host}/configuration") as store:
            yield store


@pytest.fixture
def store(opened: Store) -> Store:
    return empty(opened)


def put(configuration: Configuration, kind: str, name: str, **document: object) -> None:
    with configuration.edit(kind) as edit:
        edit.put(name, document)


def test_the_newest_version_is_what_counts_and_a_deletion_is_one(store: Store) -> None:
    configuration = Configuration(store.engine)
    assert configuration.all("group") == ({}, 0)
    put(configuration, "group", "b", text="é\t'\"\\ \n中", number=1.5, empty=None)
    put(configuration, "group", "a", nested={"list": [1, 2, {"deep": True}]})
    put(configuration, "group", "b", number=2)
    put(configuration, "other", "a", number=3)
    expected = {"a": {"nested": {"list": [1, 2, {"deep": True}]}}, "b": {"number": 2}}
    for each in (configuration, Configuration(store.engine)):
        found = each.all("group")
        assert found.by_name == expected
        assert list(found.by_name) == ["a", "b"]
        assert each.get("group", "b") == {"number": 2}
        assert each.get("group", "c") is None
    before = configuration.all("group").changed
    with configuration.edit("group") as edit:
        edit.delete("b")
        assert edit.documents.by_name.keys() == {"a"}
    for each in (configuration, Configuration(store.engine)):
        assert each.all("group").by_name.keys() == {"a"}
        assert each.all("group").changed > before
        assert each.get("other", "a") == {"number": 3}
    put(configuration, "group", "b", number=4)
    assert Configuration(store.engine).get("group", "b") == {"number": 4}


def test_text_comes_back_as_it_was(store: Store) -> None:
    text = "".join(map(chr, range(256))) + "\u2028\U0001f600"
    put(Configuration(store.engine), "group", text, text=text)
    assert Configuration(store.engine).get("group", text) == {"text": text}


def test_another_collectors_change_shows_when_the_copy_is_old(store: Store) -> None:
    clock = Clock()
    mine, theirs = Configuration(store.engine, clock=clock), Configuration(store.engine)
    assert mine.get("group", "a") is None
    put(theirs, "group", "a", number=1)
    assert mine.get("group", "a") is None
    clock.now += 5.1
    assert mine.get("group", "a") == {"number": 1}


def test_an_edit_begins_with_what_is_stored_now(store: Store) -> None:
    mine, theirs = Configuration(store.engine), Configuration(store.engine)
    assert mine.get("group", "a") is None
    put(theirs, "group", "a", number=1)
    with mine.edit("group") as edit:
        assert edit.documents.by_name == {"a": {"number": 1}}
    assert mine.get("group", "a") == {"number": 1}


def test_edits_of_one_process_follow_each_other(store: Store) -> None:
    configuration = Configuration(store.engine)

    def count(_: int) -> None:
        with configuration.edit("counter") as edit:
            before = edit.documents.by_name.get("a", {"number": 0})
            edit.put("a", {"number": before["number"] + 1})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count, range(20)))
    assert configuration.get("counter", "a") == Configuration(store.engine).get("counter", "a") == {"number": 20}


def test_a_clock_that_goes_back_does_not_hide_a_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(store.engine)
    put(configuration, "group", "a", number=1)
    with monkeypatch.context() as patched:
        patched.setattr("fluoro_collector.store.configuration.time.time_ns", lambda: 1)
        put(configuration, "group", "a", number=2)
    assert Configuration(store.engine).get("group", "a") == {"number": 2}


def test_a_change_that_was_not_stored_does_not_show(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = Configuration(store.engine)

    def busy(*_: object, **__: object) -> None:
        raise StoreBusy("no")

    with monkeypatch.context() as patched:
        patched.setattr(type(store.engine), "insert", busy)
        with pytest.raises(StoreBusy):
            put(configuration, "group", "a", number=1)
    assert configuration.get("group", "a") is None
    put(configuration, "group", "a", number=2)
    assert configuration.get("group", "a") == {"number": 2}

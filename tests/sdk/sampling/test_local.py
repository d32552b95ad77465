from __future__ import annotations

import json

import pytest

from fluoro.errors import SettingsError
from fluoro.sampling.local import load, sampler

LOW, HIGH = bytes(16), b"\xff" * 16  # trace ids that every share takes, and that only the share 1 takes
V2 = {
    "version": 2,
    "rules": [
        {"host": "*", "http_method": "GET", "url_path": "/health*", "fixed_target": 0, "rate": 0},
        {"host": "shop.*", "http_method": "*", "url_path": "/buy", "fixed_target": 2, "rate": 1},
    ],
    "default": {"fixed_target": 1, "rate": 0.5},
}


def rules(**changes: object) -> str:
    return json.dumps({**V2, **changes})


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_rule_that_fits_decides_and_the_default_the_rest():
    decide = sampler(load(rules()), Clock())

    def ask(url: str, trace_id: bytes = HIGH, method: str = "GET") -> bool:
        return decide(trace_id, "shop", "GET", method, url).sampled

    assert not ask("http://shop.com/health", LOW)
    assert all(ask("http://shop.com:8000/buy") for _ in range(5))
    assert ask("http://shop.com/health", method="POST")  # the default's one trace of this second
    assert not ask("http://other/x")
    assert ask("http://other/x", LOW)
    assert decide(LOW, "shop", "job", "", "").sampled


def test_the_fixed_target_is_for_each_second():
    clock = Clock()
    decide = sampler(load(rules(rules=[], default={"fixed_target": 2, "rate": 0})), clock)
    taken = []
    for _ in range(3):
        taken.append([decide(LOW, "s", "o", "GET", "http://h/").sampled for _ in range(4)])
        clock.now += 1
    assert taken == [[True, True, False, False]] * 3
    assert decide(LOW, "s", "o", "", "").rule == ""


def test_version_1_calls_the_host_service_name(tmp_path):
    file = tmp_path / "rules.json"
    rule = {"service_name": "*.shop.com", "http_method": "*", "url_path": "*", "fixed_target": 0, "rate": 0}
    file.write_text(json.dumps({"version": 1, "rules": [rule], "default": {"fixed_target": 0, "rate": 1}}))
    decide = sampler(load(str(file)), Clock())
    assert not decide(LOW, "s", "o", "GET", "http://a.shop.com/").sampled
    assert decide(LOW, "s", "o", "GET", "http://shop.com/").sampled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/no/such/file", "cannot be read"),
        ("{", "not JSON"),
        (rules(version=3), "version is 3"),
        (rules(default=None), "no default"),
        (rules(default={"fixed_target": 1, "rate": 0.1, "url_path": "*"}), "has a pattern"),
        (rules(default={"fixed_target": -1, "rate": 0.1}), "fixed_target of default is -1"),
        (rules(default={"fixed_target": 1, "rate": 2}), "rate of default is 2"),
        (rules(rules=[{"host": "*", "url_path": "*", "fixed_target": 1, "rate": 1}]), "rule 1 needs all of host"),
        (rules(rules="no"), "not a list"),
    ],
)
def test_wrong_rules_say_what_is_wrong(text, message):
    with pytest.raises(SettingsError, match="FLUORO_SAMPLING_RULES") as caught:
        load(text)
    assert message in str(caught.value)

"""The names of keys."""

import re

from django_websocket.groups.backends.redis.keys import Keys

KEYS = Keys("p")


def tag(key):
    return re.search(r"\{(.+?)\}", key)[1]


def test_all_keys_of_a_group_are_in_one_slot():
    keys = [*KEYS.numbers("g"), *KEYS.presence("g"), KEYS.channel("g")]
    assert keys == ["p:{g}:m", "p:{g}:h", "p:{g}:n", "p:{g}:w", "p:{g}:c"]
    assert {tag(key) for key in keys} == {"g"}


def test_the_keys_of_all_processes_are_in_one_slot():
    keys = [KEYS.processes, KEYS.groups_of("a/1"), KEYS.sweeper_of("a/1"), KEYS.answers("0f")]
    assert keys == ["p:{p}:z", "p:{p}:g:a/1", "p:{p}:s:a/1", "p:{p}:a:0f"]


def test_a_group_with_the_name_of_the_processes_has_other_keys():
    keys = [*KEYS.numbers("p"), *KEYS.presence("p"), KEYS.channel("p")]
    assert not {KEYS.processes, KEYS.groups_of(""), KEYS.sweeper_of(""), KEYS.answers("")} & set(keys)


def test_the_channel_of_a_process():
    assert KEYS.own_channel("a/1") == f"{KEYS.own_channels}a/1" == "p:p:a/1"

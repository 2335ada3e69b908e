"""The scripts, on a real Redis: what they change and return."""

import pytest

from django_websocket.groups.backends.redis import scripts

EPOCH = "0a1b2c3d"
LIFE = 100_000


class Redis:
    """Runs scripts for one group, and hears what they publish."""

    def __init__(self, server, prefix):
        self.client = server.client()
        self.prefix = prefix
        self.pubsub = self.client.pubsub()
        self.pubsub.subscribe(self.key("c"))
        assert self.pubsub.get_message(timeout=20)["type"] == "subscribe"

    def key(self, kind, tag="g"):
        return f"{self.prefix}:{{{tag}}}:{kind}"

    def run(self, script, kinds, *arguments, tag="g"):
        keys = [self.key(kind, tag) for kind in kinds]
        return self.client.eval(script.source, len(keys), *keys, *arguments)

    def publish(self, payload, history=0, epoch=EPOCH):
        return self.run(scripts.PUBLISH, "mh", self.key("c"), "PUBLISH", epoch, LIFE, history, payload)

    def join(self, process, number, *names):
        self.run(scripts.JOIN, "nw", self.key("c"), "PUBLISH", process, number, *names)

    def leave(self, process, number, *names):
        self.run(scripts.LEAVE, "nw", self.key("c"), "PUBLISH", process, number, *names)

    @property
    def heard(self):
        """What was published since it was asked for the last time."""
        self.client.publish(self.key("c"), "end")
        found = []
        while (data := self.pubsub.get_message(timeout=20)["data"]) != "end":
            found.append(data)
        return found


@pytest.fixture
def redis(redis_server, prefix):
    redis = Redis(redis_server, prefix)
    yield redis
    redis.pubsub.close()
    redis.client.close()


def test_a_script_is_known_by_its_hash(redis):
    for script in vars(scripts).values():
        if isinstance(script, scripts.Script):
            assert redis.client.script_load(script.source) == script.sha


def test_publishing(redis):
    assert redis.publish("a") == [EPOCH, 1]
    assert redis.publish("b c", epoch="other") == [EPOCH, 2]
    assert redis.heard == [f"m {EPOCH} 1 a", f"m {EPOCH} 2 b c"]
    assert redis.client.exists(redis.key("h")) == 0
    assert 0 < redis.client.pttl(redis.key("m")) <= LIFE


def test_publishing_with_a_history(redis):
    for payload in "abc":
        redis.publish(payload, history=2)
    assert redis.client.xrange(redis.key("h")) == [("2-0", {"d": "b"}), ("3-0", {"d": "c"})]
    assert 0 < redis.client.pttl(redis.key("h")) <= LIFE


def test_a_new_epoch_forgets_the_history(redis):
    redis.publish("a", history=2)
    redis.client.delete(redis.key("m"))
    assert redis.publish("b", history=2, epoch="new") == ["new", 1]
    assert redis.client.xrange(redis.key("h")) == [("1-0", {"d": "b"})]


def test_the_position(redis):
    assert redis.run(scripts.POSITION, "mh", EPOCH, LIFE) == [EPOCH, "0"]
    redis.publish("a", epoch="other")
    assert redis.run(scripts.POSITION, "mh", "other", LIFE) == [EPOCH, "1"]


def test_marks_and_closings(redis):
    mark = (scripts.MARK, "mh", redis.key("c"), "PUBLISH", EPOCH, LIFE)
    redis.run(*mark)
    redis.publish("a")
    redis.run(scripts.CLOSE, "mh", redis.key("c"), "PUBLISH", EPOCH, LIFE, "bye now")
    redis.run(*mark)
    assert redis.heard == [f"s {EPOCH} 0 0 ", f"m {EPOCH} 1 a", f"c {EPOCH} 1 bye now", f"s {EPOCH} 1 1 bye now"]


@pytest.mark.parametrize(
    ("epoch", "since", "expected"),
    [(EPOCH, 0, "bc"), (EPOCH, 2, "c"), (EPOCH, 3, ""), (EPOCH, 4, "bc"), (EPOCH, 10**15, "bc"), ("other", 3, "bc")],
)
def test_replaying(redis, epoch, since, expected):
    for payload in "abc":
        redis.publish(payload, history=2)
    found, last, entries = redis.run(scripts.REPLAY, "mh", epoch, since)
    assert (found, last) == (EPOCH, "3")
    assert [fields[1] for _, fields in entries] == list(expected)


def test_replaying_nothing(redis):
    assert redis.run(scripts.REPLAY, "mh", EPOCH, 3) == ["", "0", []]


def test_names(redis):
    redis.join("a/1", 2, "ann", "bob")
    redis.join("b/1", 1, "ann")
    redis.join("b/1", 1, "ann")
    assert redis.client.hgetall(redis.key("n")) == {"a/1": "2", "b/1": "1"}
    assert redis.client.hgetall(redis.key("w")) == {"ann": "a/1 b/1", "bob": "a/1"}
    redis.leave("a/1", 0, "ann", "bob", "cy")
    redis.leave("a/1", 0, "ann")
    assert redis.client.hgetall(redis.key("n")) == {"b/1": "1"}
    assert redis.client.hgetall(redis.key("w")) == {"ann": "b/1"}
    redis.leave("b/1", 2, "ann")
    assert redis.client.hgetall(redis.key("n")) == {"b/1": "2"}
    assert redis.heard == ["j ann", "j bob", "l bob", "l ann"]


def test_a_process_whose_name_is_part_of_another(redis):
    redis.join("a/11", 1, "ann")
    redis.join("a/1", 1, "ann")
    redis.leave("a/1", 0, "ann")
    assert redis.client.hgetall(redis.key("w")) == {"ann": "a/11"}


def test_sweeping_a_group(redis):
    redis.join("a/1", 2, "ann", "bob")
    redis.join("b/1", 1, "ann")
    for _ in range(2):
        redis.run(scripts.SWEEP, "nw", redis.key("c"), "PUBLISH", "a/1")
    assert redis.client.hgetall(redis.key("n")) == {"b/1": "1"}
    assert redis.client.hgetall(redis.key("w")) == {"ann": "b/1"}
    assert redis.heard == ["j ann", "j bob", "l bob"]


def test_the_groups_of_a_process(redis):
    for script, expected in ((scripts.ENTER, {"g"}), (scripts.EXIT, set())):
        redis.run(script, ["g:a/1"], "g", tag="p")
        assert redis.client.smembers(redis.key("g:a/1", "p")) == expected


def test_beats(redis):
    assert redis.run(scripts.BEAT, "z", "a/1", 20_000, tag="p") == [0, []]
    assert redis.run(scripts.BEAT, "z", "a/1", 20_000, tag="p") == [1, []]
    redis.client.zadd(redis.key("z", "p"), {"dead/1": 5})
    assert redis.run(scripts.LIVE, "z", 20_000, tag="p") == ["a/1"]
    assert redis.run(scripts.BEAT, "z", "b/1", 20_000, tag="p") == [0, ["dead/1"]]
    assert sorted(redis.run(scripts.LIVE, "z", 20_000, tag="p")) == ["a/1", "b/1"]


def test_a_question_reaches_the_channels_of_all_others_that_live(redis):
    redis.client.zadd(redis.key("z", "p"), {"dead/1": 5})
    for process in ("a/1", "b/1", "c/1"):
        redis.run(scripts.BEAT, "z", process, 20_000, tag="p")
    channels = f"{redis.prefix}:p:"
    redis.pubsub.subscribe(f"{channels}b/1")
    assert redis.pubsub.get_message(timeout=20)["type"] == "subscribe"
    found = redis.run(scripts.ASK, "z", 20_000, "a/1", channels, "q x", tag="p")
    assert sorted(zip(found[::2], found[1::2], strict=True)) == [("b/1", 1), ("c/1", 0)]
    assert redis.heard == ["q x"]


def test_answers_are_kept_for_a_while_and_not_too_many(redis):
    for number in range(4):
        redis.run(scripts.ANSWER, ["a:0f"], 10_000, 3, number, tag="p")
    key = redis.key("a:0f", "p")
    assert redis.client.lrange(key, 0, -1) == ["0", "1", "2"]
    assert 0 < redis.client.pttl(key) <= 10_000

import re

import pytest

from django_websocket.doctor.verdicts import VERDICTS

WORDS = (
    "ok unreachable tls no-answer backend-down upgrade-dropped upgrade-dropped-or-page http-1.0 connection-dropped "
    "host-replaced port-lost scheme-lost origin-refused redirect no-such-address login not-a-websocket-view "
    "server-without-socket asgi full restarting wrong-accept cut-when-idle killed error"
)


def test_words():
    """Scripts compare the words: none of them ever changes."""
    assert " ".join(VERDICTS) == WORDS


@pytest.mark.parametrize("word", VERDICTS)
def test_verdict(word):
    verdict = VERDICTS[word]
    assert verdict.word == word
    assert re.fullmatch(r"[A-Z][^\n]*\.", verdict.summary)
    assert not re.search(r"\. [A-Z]", verdict.summary), "one sentence"
    assert bool(verdict.change) == (word != "ok")
    assert verdict.docs == f"doctor.html#verdict-{word.replace('.', '-')}"

"""The page of questions: each has an anchor, a short answer and a link to the page with the rest; its code works."""

import re
import types

import pytest
from django.test import override_settings
from django.urls import path

from django_websocket.testing import WebSocketClient

from .test_docs import ROOT, code_blocks, run

PAGE = "docs/faq.rst"
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")
#: The label, the question and the answer.
QUESTION = re.compile(
    r"^\.\. _(faq-[\w-]+):\n\n(.+)\n(-+)\n\n([\s\S]+?)(?=\n\n\.\. _faq-|\n\n[^\n]+\n=+\n|\Z)", re.MULTILINE
)
QUESTIONS = [pytest.param(*found, id=found[0]) for found in QUESTION.findall(TEXT)]

#: What people ask most, in words that they search for.
ASKED = {
    "can only handle ASGI/HTTP connections",
    "behind nginx",
    "``wss://``",
    "Celery task",
    "push to one user",
    "who is online",
    "token",
    "How many connections",
    "database connections",
    "reconnect",
    "test a view",
    "pip install django-websocket",
}


def view(name):
    (block,) = [block for block in code_blocks(PAGE, TEXT) if f"def {name}(" in block.source]
    return run(block)


@pytest.mark.parametrize(("label", "question", "underline", "answer"), QUESTIONS)
def test_a_question(label, question, underline, answer):
    assert question.endswith("?")
    assert len(underline) == len(question)
    assert re.search(r":(doc|ref):`", answer), f"{label} leads nowhere"
    prose = re.sub(r"\.\. code-block:: .*?(?=\n\n\S|\Z)", "", answer, flags=re.DOTALL)
    assert len(prose.split()) <= 120, f"{label} is no short answer"


def test_every_heading_is_a_question_or_a_part():
    assert len(QUESTIONS) == len(re.findall(r"^-{3,}$", TEXT, re.MULTILINE)) == TEXT.count(".. _faq-")


@pytest.mark.parametrize("words", sorted(ASKED))
def test_what_is_asked_most_is_a_question(words):
    assert any(words in question for _, question, *_ in (parameter.values for parameter in QUESTIONS))


@pytest.mark.django_db(transaction=True)
def test_push():
    names = view("stock_ticker")
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [path("stock/", names["stock_ticker"])]
    with override_settings(ROOT_URLCONF=urls), WebSocketClient().websocket("/stock/") as websocket:
        names["price_changed"]("TEA", "2.40")
        assert websocket.wait_json() == {"symbol": "TEA", "price": "2.40"}


def test_binary_and_json():
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [path("checksum/", view("checksum")["checksum"])]
    with override_settings(ROOT_URLCONF=urls), WebSocketClient().websocket("/checksum/") as websocket:
        websocket.send("text")
        websocket.send(b"\xff" * 300)
        assert websocket.wait_json() == {"bytes": 300, "sum": 76500 % 65536}


def test_the_end():
    names = view("watch_log")
    urls = types.ModuleType("documented_urls")
    urls.urlpatterns = [path("log/", names["watch_log"])]
    with override_settings(ROOT_URLCONF=urls), WebSocketClient().websocket("/log/") as websocket:
        websocket.send("a message, which the view waits for")
        assert len(names["watchers"]) == 1
    assert names["watchers"] == set()

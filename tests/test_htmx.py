"""What the extensions of htmx send for a form."""

import json

import pytest

from django_websocket import htmx

#: What htmx 2.0.11 with htmx-ext-ws 2.0.4 sends for a form with two checkboxes and ``hx-vals``.
HTMX_2 = (
    '{"c":["1","2"],"text":"hä","extra":1,"HEADERS":{"HX-Request":"true","HX-Trigger":"f","HX-Trigger-Name":null,'
    '"HX-Target":"f","HX-Current-URL":"http://127.0.0.1:8000/"}}'
)
#: What htmx 4.0.1 with hx-ws sends for it.
HTMX_4 = (
    '{"c":["1","2"],"text":"hä","extra":1,"headers":{"HX-Request":"true","HX-Source":"form#f",'
    '"HX-Current-URL":"http://127.0.0.1:8000/","HX-Target":"form#f"}}'
)


@pytest.mark.parametrize(
    ("message", "target"),
    [(HTMX_2, "f"), (HTMX_4, "form#f"), (HTMX_2.encode(), "f")],
    ids=["htmx 2", "htmx 4", "bytes"],
)
def test_fields_and_headers(message, target):
    fields, headers = htmx.parse(message)
    assert fields == {"c": ["1", "2"], "text": "hä", "extra": 1}
    assert (headers["HX-Request"], headers["HX-Target"]) == ("true", target)


def test_a_header_of_an_element_without_that_attribute():
    _, headers = htmx.parse(HTMX_2)
    assert headers["HX-Trigger-Name"] is None


def test_values_keep_their_types():
    values = {"text": "1", "number": 1, "decimal": 1.5, "flag": True, "nothing": None, "many": ["1"], "more": {"a": []}}
    fields, headers = htmx.parse(json.dumps({**values, "HEADERS": {}}))
    assert (fields, headers) == (values, {})
    assert [type(value) for value in fields.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize(
    ("message", "fields", "headers"),
    [
        ({"headers": "typed", "HEADERS": {"HX-Request": "true"}}, {"headers": "typed"}, {"HX-Request": "true"}),
        ({"headers": {"a": 1}, "HEADERS": {"b": "2"}}, {"headers": {"a": 1}}, {"b": "2"}),
        ({"HEADERS": ["typed", "twice"], "headers": {"b": "2"}}, {"HEADERS": ["typed", "twice"]}, {"b": "2"}),
        ({"HEADERS": "typed", "headers": "typed"}, {"HEADERS": "typed", "headers": "typed"}, {}),
    ],
)
def test_a_field_with_the_name_of_the_headers(message, fields, headers):
    assert htmx.parse(json.dumps(message)) == (fields, headers)


def test_escaped_characters():
    assert htmx.parse(r'{"a": "\ud83d\ude00 \u00e9"}') == ({"a": "\U0001f600 \u00e9"}, {})


def test_without_headers():
    """A page may leave them out in ``htmx:wsConfigSend``."""
    assert htmx.parse('{"a": "1"}') == ({"a": "1"}, {})
    assert htmx.parse("{}") == ({}, {})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "Expecting value"),
        ("hello", "Expecting value"),
        ('{"a":', "Expecting value"),
        ('{"a": 1} and more', "Extra data"),
        (b"\xff", "decode"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "digits"),
        ("[1]", "no JSON object, but list"),
        ("null", "no JSON object, but NoneType"),
        ('"text"', "no JSON object, but str"),
        (r'{"text": "half of \ud83d"}', "surrogates not allowed"),
        (rb'{"\udc00": 1}', "surrogates not allowed"),
    ],
)
def test_what_is_no_message_of_htmx(message, reason):
    with pytest.raises(ValueError, match=rf"^this is no message of htmx: .*{reason}"):
        htmx.parse(message)


def test_the_end_of_the_messages_is_a_mistake_of_the_view():
    with pytest.raises(TypeError):
        htmx.parse(None)

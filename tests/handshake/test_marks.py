"""The marks of a view, as far as they are known before it is called."""

from functools import partial

import pytest
from django.contrib.auth.decorators import login_required
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache

from django_websocket import accept_websocket, require_websocket
from django_websocket.handshake.marks import Marks, read_marks


def view(request):
    """A view that is called by no test."""


def marked_by_hand(**marks):
    """Return a view with attributes that a project has set itself."""

    def hand_marked(request):
        """A view that is called by no test."""

    vars(hand_marked).update(marks)
    return hand_marked


@method_decorator(require_websocket(send_timeout=1), name="dispatch")
class Base(View):
    pass


@method_decorator(accept_websocket(send_timeout=2), name="dispatch")
class Derived(Base):
    pass


class Unreadable:
    """A view that has every attribute."""

    def __getattr__(self, name):
        return self


@pytest.mark.parametrize("unmarked", [view, partial(view), View.as_view(), login_required(view)])
def test_unmarked(unmarked):
    assert read_marks(unmarked) == Marks(marked=False, required=False, decorated=False, options=None)


@pytest.mark.parametrize("outside", [lambda view: view, login_required, partial, lambda v: partial(never_cache(v))])
@pytest.mark.parametrize(("decorator", "required"), [(accept_websocket, False), (require_websocket, True)])
def test_a_wrapper_is_found_inside_others(outside, decorator, required):
    marked = decorator(send_timeout=5)(view)
    assert read_marks(outside(marked)) == Marks(True, required, True, {"send_timeout": 5})
    assert read_marks(outside(marked)).options is marked.websocket_options


def test_the_outermost_of_two_wrappers():
    both = accept_websocket(send_timeout=1)(require_websocket(send_timeout=2, close_timeout=3)(view))
    assert read_marks(login_required(both)).options == {"send_timeout": 1, "close_timeout": 3}
    around_a_class = accept_websocket(send_timeout=1)(Base.as_view())
    assert around_a_class.websocket_options == {"send_timeout": 1}
    assert read_marks(around_a_class) == Marks(True, True, True, None), "the class may have more of them"


@pytest.mark.parametrize("marked", [Base.as_view(), Derived.as_view(), login_required(Derived.as_view())])
def test_copied_attributes_are_nobodys_options(marked):
    """``method_decorator`` makes the wrapper when the view is called."""
    assert marked.websocket_options == {"send_timeout": 1}
    assert read_marks(marked) == Marks(True, False, True, None)


@pytest.mark.parametrize("name", ["accept_websocket", "require_websocket"])
@pytest.mark.parametrize("outside", [lambda view: view, login_required, partial])
def test_marked_by_hand(name, outside):
    marked = outside(marked_by_hand(**{name: True}))
    assert read_marks(marked) == Marks(True, name == "require_websocket", False, {})


def test_a_partial_that_is_marked_by_hand():
    marked = partial(view)
    marked.require_websocket = True
    marked.websocket_options = {"send_timeout": 1}
    assert read_marks(marked) == Marks(True, True, False, {"send_timeout": 1})


def test_a_mark_that_is_false():
    assert read_marks(marked_by_hand(accept_websocket=False)) == Marks()


def test_a_wrapper_inside_a_view_that_is_marked_by_hand():
    """The options are those of the wrapper."""
    marked = partial(accept_websocket(send_timeout=1)(view))
    marked.require_websocket = True
    assert read_marks(marked) == Marks(True, False, True, {"send_timeout": 1})
    marked = partial(Base.as_view())
    marked.require_websocket = True
    assert read_marks(marked) == Marks(True, True, True, None)


def test_endless_layers():
    assert read_marks(Unreadable()).marked


def test_a_wrapper_is_freed_at_once():
    """``method_decorator`` makes one for each request, and a cycle would keep the request."""
    marked = accept_websocket(view)
    wrapper = marked.websocket_options.wrapper
    assert wrapper() is marked
    del marked
    assert wrapper() is None

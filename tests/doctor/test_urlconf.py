import pytest

from django_websocket.doctor.urlconf import REMARK, View, find_views


@pytest.mark.urls("tests.doctor.views")
def test_functions_and_classes():
    assert find_views() == [
        View("/open/", True, ""),
        View("/listed/", True, ""),
        View("/class/", True, ""),
        View("/plain/", False, ""),
    ]


@pytest.mark.urls("tests.doctor.rest_views")
def test_views_of_rest_framework():
    pytest.importorskip("rest_framework")
    assert find_views() == [
        View("/api/<int:number>/", False, "Django REST framework", REMARK),
        View("/api/decorated/", True, "Django REST framework"),
    ]


@pytest.mark.urls("tests.doctor.ninja_views")
def test_views_of_ninja():
    pytest.importorskip("ninja")
    assert [view for view in find_views() if view.route.startswith("/ninja/room")] == [
        View("/ninja/room/", True, "django-ninja"),
        View("/ninja/room/plain/", False, "django-ninja", REMARK),
    ]


def test_no_urlconf(settings):
    settings.ROOT_URLCONF = None
    assert find_views() == []

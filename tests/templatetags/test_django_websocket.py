"""``{% websocket_url %}`` in templates."""

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.shortcuts import render
from django.template import Context, Engine, RequestContext, TemplateSyntaxError, engines
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import NoReverseMatch, clear_script_prefix, include, path
from django.utils import translation

from ..requests import attempt
from ..views import OURS

TEMPLATES = {
    "page.html": '{% load django_websocket %}<a href="{% websocket_url "room" 7 %}">',
    "outer.html": '{% include "page.html" %}{% if True %}{% include "page.html" only %}{% endif %}',
    "localized.html": '{% load django_websocket %}{% websocket_url "localized" %}',
    "namespaced.html": '{% load django_websocket %}{% websocket_url "chat:room" %}',
}


def page(request, name="page"):
    return render(request, f"{name}.html")


def nothing(request, **_):
    return HttpResponse()


chat = ([path("room/", nothing, name="room"), path("page/<name>/", page)], "chat")
urlpatterns = [
    path("page/", page),
    path("page/<name>/", page),
    path("room/<int:pk>/", nothing, name="room"),
    path("room/<str:name>/<int:pk>/", nothing, name="named"),
    path("first/", include(chat)),
    path("second/", include(chat, namespace="second")),
    *i18n_patterns(path("localized/", nothing, name="localized"), path("page/localized/", page, {"name": "localized"})),
]

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture(autouse=True)
def _templates(settings):
    (backend,) = settings.TEMPLATES
    loaders = [("django.template.loaders.locmem.Loader", TEMPLATES)]
    settings.TEMPLATES = [{**backend, "APP_DIRS": False, "OPTIONS": {**backend["OPTIONS"], "loaders": loaders}}]


def rendered(source, request=None, **context):
    template = engines["django"].from_string(f"{{% load django_websocket %}}{source}")
    return template.render(context, request or RequestFactory().get("/page/"))


class TestArguments:
    @pytest.mark.parametrize(
        ("source", "uri"),
        [
            ('{% websocket_url "room" 7 %}', "ws://testserver/room/7/"),
            ('{% websocket_url "room" pk=7 %}', "ws://testserver/room/7/"),
            ("{% websocket_url view number|add:1 %}", "ws://testserver/room/8/"),
            ('{% websocket_url "named" name=text pk=number %}', "ws://testserver/room/%3Cb%3E%20&amp;/7/"),
            (
                '{% autoescape off %}{% websocket_url "named" text 7 %}{% endautoescape %}',
                "ws://testserver/room/%3Cb%3E%20&/7/",
            ),
            ('{% websocket_url "room" 7 as there %}[{{ there }}]', "[ws://testserver/room/7/]"),
            ('{% websocket_url "named" text 7 as there %}{{ there }}', "ws://testserver/room/%3Cb%3E%20&amp;/7/"),
            ('{% websocket_url "nowhere" as there %}[{{ there }}]', "[]"),
            ('{% websocket_url "nowhere" as there %}{{ text }}', "&lt;b&gt; &amp;"),
        ],
    )
    def test_they_are_those_of_url(self, source, uri):
        assert rendered(source, view="room", number=7, text="<b> &") == uri

    @pytest.mark.parametrize("source", ['{% websocket_url "nowhere" %}', '{% websocket_url "room" "seven" %}'])
    def test_no_such_view(self, source):
        with pytest.raises(NoReverseMatch):
            rendered(source)

    @pytest.mark.parametrize("source", ["{% websocket_url %}", '{% websocket_url "room" 7)( %}'])
    def test_mistakes_in_the_template(self, source):
        with pytest.raises(TemplateSyntaxError, match=r"websocket_url|Could not parse"):
            rendered(source)

    def test_the_rest_of_the_template_is_still_escaped_after_an_error(self):
        """A template may go on behind the variable of a view that is missing."""
        context = RequestContext(RequestFactory().get("/"), {"text": "<b>"})
        template = Engine(libraries={"ours": "django_websocket.templatetags.django_websocket"}).from_string(
            '{% load ours %}{% websocket_url "nowhere" %}'
        )
        with pytest.raises(NoReverseMatch):
            template.render(context)
        assert context.autoescape

    def test_the_current_instance_of_an_application(self):
        assert Client().get("/second/page/namespaced/").content == b"ws://testserver/second/room/"
        assert Client().get("/first/page/namespaced/").content == b"ws://testserver/first/room/"


class TestPages:
    """The tag in a page that a client asks for."""

    @pytest.fixture(params=["with the middleware", "without the middleware"])
    def client(self, request, settings):
        if request.param == "without the middleware":
            settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != OURS]
        return Client()

    @pytest.mark.parametrize("host", ["testserver", "localhost:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000"])
    def test_hosts(self, client, host):
        link = f'<a href="ws://{host}/room/7/">'
        assert client.get("/page/", headers={"host": host}).text == link
        assert client.get("/page/", headers={"host": host}, secure=True).text == link.replace("ws:", "wss:")

    def test_behind_a_proxy(self, client, settings):
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        for announced, scheme in [("https", "wss"), ("http", "ws")]:
            text = client.get("/page/", headers={"host": "localhost", "x-forwarded-proto": announced}).text
            assert text == f'<a href="{scheme}://localhost/room/7/">'

    @pytest.mark.usefixtures("client", "wire")
    def test_a_prefix(self):
        """Only the handler of a server sets it; its signals must not close what tests have opened."""
        environ = RequestFactory().get("/page/", SCRIPT_NAME="/app").environ
        try:
            (page,) = get_wsgi_application()(environ, lambda status, headers: None)
        finally:
            clear_script_prefix()
        assert page == b'<a href="ws://testserver/app/room/7/">'

    def test_languages(self, client, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
        for language in ("de", "pt-br"):
            text = client.get(f"/{language}/page/localized/").text
            assert text == f"ws://testserver/{language}/localized/"
        with translation.override("fr"):
            assert rendered('{% websocket_url "localized" %}') == "ws://testserver/fr/localized/"

    def test_included_templates(self, client):
        assert client.get("/page/outer/").text == '<a href="ws://testserver/room/7/">' * 2


class TestRequests:
    def test_one_that_is_only_a_variable(self):
        request = RequestFactory().get("/")
        assert render_to_string("page.html", {"request": request}) == '<a href="ws://testserver/room/7/">'

    def test_a_wrapper_of_a_framework(self):
        request = pytest.importorskip("rest_framework.request").Request(RequestFactory().get("/"))
        assert rendered('{% websocket_url "room" 7 %}', request) == "ws://testserver/room/7/"

    @pytest.mark.parametrize("context", [{}, {"request": None}, {"request": "a wish"}])
    def test_none(self, context):
        with pytest.raises(ImproperlyConfigured, match=r"needs the request.* render_to_string"):
            render_to_string("page.html", context)
        template = engines["django"].from_string('{% load django_websocket %}{% websocket_url "nowhere" as there %}')
        with pytest.raises(ImproperlyConfigured):
            template.template.render(Context(context))

    def test_a_host_that_is_not_allowed(self):
        response = attempt("/page/", {"HTTP_HOST": "elsewhere"})
        assert response.status_code == 400
        assert b"ws://" not in response.content

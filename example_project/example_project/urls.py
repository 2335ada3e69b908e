"""The URLs of the example: its pages, and the views that their scripts connect to. Those of the chat are in its app.

The first page is the chat: one field, a name, and one is in it; the smaller examples are a click away from there. The
admin lists the open WebSockets at ``/admin/django_websocket/liveconnection/``.
"""

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path
from django.views.generic import RedirectView

from example_project import views
from example_project.pages import Page


def page(name):
    return Page.as_view(template_name=f"example_project/{name}.html")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="chat:rooms")),
    path("echo/", page("echo"), name="echo-page"),
    path("both-ways/", page("both_ways"), name="both-ways-page"),
    path("about/", page("about"), name="about-page"),
    path("ws/echo/", views.echo, name="echo"),
    path("ws/echo_once/", views.echo_once, name="echo_once"),
    path("ws/about/", views.about, name="about"),
    path("lower_case/", views.lower_case, name="lower_case"),
    path("add_one/", views.add_one, name="add_one"),
    path("", include("chat.urls")),
    path("admin/", admin.site.urls),
    *staticfiles_urlpatterns(),  # with DEBUG, for servers other than runserver
]

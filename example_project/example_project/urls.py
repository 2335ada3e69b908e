"""The URLs of the example: four pages, and the views that their scripts connect to."""

from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import path

from example_project import views
from example_project.pages import Page


def page(name, *shown):
    return Page.as_view(template_name=f"example_project/{name}.html", shown=shown)


urlpatterns = [
    path("", page("echo", views.echo), name="echo-page"),
    path("both-ways/", page("both_ways", views.lower_case, views.add_one), name="both-ways-page"),
    path("about/", page("about", views.about, views.facts), name="about-page"),
    path("chat/", page("chat", views.tell_everyone, views.chat), name="chat-page"),
    path("ws/echo/", views.echo, name="echo"),
    path("ws/echo_once/", views.echo_once, name="echo_once"),
    path("ws/about/", views.about, name="about"),
    path("ws/chat/", views.chat, name="chat"),
    path("lower_case/", views.lower_case, name="lower_case"),
    path("add_one/", views.add_one, name="add_one"),
    *staticfiles_urlpatterns(),  # with DEBUG, for servers other than runserver
]

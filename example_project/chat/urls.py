from django.contrib.auth.views import LogoutView
from django.urls import path

from chat import views

app_name = "chat"

urlpatterns = [
    path("chat/", views.rooms, name="rooms"),
    path("chat/<int:pk>/", views.room, name="room"),
    path("chat/announce/", views.announce, name="announce"),
    path("chat/login/", views.LogIn.as_view(), name="login"),
    path("chat/logout/", LogoutView.as_view(), name="logout"),
    path("ws/chat/", views.listen, name="listen"),
    path("ws/chat/<int:pk>/", views.talk, name="talk"),
]

"""The pages of the chat, and the two WebSocket views that their scripts connect to."""

# ruff: noqa: RET503  a WebSocket view ends by returning nothing

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import LoginView
from django.db.models import F, Max
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from chat.forms import AnnouncementForm, LogInForm, RoomForm
from chat.models import Announcement, Message, Room
from chat.pushes import everybody, lobby
from django_websocket import require_websocket, websocket_login_required

# Pages


class LogIn(LoginView):
    form_class = LogInForm
    template_name = "chat/login.html"
    next_page = "chat:rooms"
    redirect_authenticated_user = True

    def form_valid(self, form):
        response = super().form_valid(form)
        # The session ends when the name becomes free, whatever is done in it.
        self.request.session.set_expiry(timezone.now() + timedelta(seconds=settings.SESSION_COOKIE_AGE))
        return response


@login_required
def rooms(request):
    form = RoomForm(request.POST or None)
    if form.is_valid():
        return redirect(form.save())
    return show_rooms(request, room_form=form)


@login_required
@require_POST
def announce(request):
    form = AnnouncementForm(request.POST, instance=Announcement(author=request.user))
    if not form.is_valid():
        return show_rooms(request, announcement_form=form)
    form.save()
    return redirect("chat:rooms")


def show_rooms(request, **forms):
    listed = Room.objects.annotate(newest=Max("messages")).order_by(F("newest").desc(nulls_last=True), "pk")[:100]
    messages = Message.objects.select_related("author").in_bulk([room.newest for room in listed])
    rows = [(room, len(room.talk.members()), messages.get(room.newest)) for room in listed]
    return render(request, "chat/rooms.html", {"rows": rows, "announced": Announcement.newest(), **forms})


@login_required
def room(request, pk):
    room = get_object_or_404(Room, pk=pk)
    # First the position, then the query: what is said in between is in both, and the page shows it once. In the other
    # order it would be in neither.
    position = room.talk.position()
    newest = room.messages.select_related("author").order_by("-pk")[: room.HISTORY]
    history = {"position": position, "messages": [message.as_json() for message in reversed(newest)]}
    return render(request, "chat/room.html", {"room": room, "history": history, "announced": Announcement.newest()})


# WebSockets


@require_websocket(max_message_size=8000)
@websocket_login_required
def talk(request, pk):
    room = get_object_or_404(Room, pk=pk)
    websocket, name = request.websocket, str(request.user)
    everybody.add(websocket)
    room.signs.add(websocket)
    room.talk.add(websocket, name=name, since=request.GET.get("since"))
    # Behind the messages that were missed, which add() has sent.
    websocket.send_json({"announced": Announcement.newest(), "here": sorted(room.talk.members()), "ready": True})
    for text in websocket:
        if isinstance(text, bytes):
            return websocket.close(1003, "Messages are text.")
        if text:
            room.messages.create(author=request.user, text=text)
        else:
            room.signs.send_json({"typing": name}, exclude=websocket)


@require_websocket
@websocket_login_required
def listen(request):
    everybody.add(request.websocket)
    lobby.add(request.websocket)
    request.websocket.send_json({"announced": Announcement.newest(), "ready": True})
    for _message in request.websocket:
        pass

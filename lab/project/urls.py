"""The URLs of the project."""

from django.urls import path

from . import views
from .documented import add_one, echo_once, lower_case

urlpatterns = [
    path("ready/", views.ready),
    path("tally/", views.tally),
    path("plain/", views.plain),
    path("echo/", views.echo),
    path("database/", views.database),
    path("transaction/", views.in_transaction),
]

# A test chooses a key for each of these, so that its path is not used by any other test.
KEYED = [
    views.plain,
    views.logged,
    views.echo,
    views.forbid,
    views.forbid_at_length,
    views.forbid_in_pieces,
    views.log_in_first,
    views.interrupt,
    views.redirect,
    views.fail_early,
    views.fail,
    views.leave,
    views.return_page,
    views.close,
    views.close_fast,
    views.collect,
    views.collect_after_close,
    views.flood,
    views.gather,
    views.hold,
    views.keepalive,
    views.send_and_wait,
    views.chatter,
    views.patient,
    views.listen,
]
urlpatterns += [path(f"{view.__name__}/<key>/", view) for view in KEYED]

BARE = [echo_once, lower_case, add_one, views.compress, views.negotiate, views.version]
urlpatterns += [path(f"{view.__name__}/", view) for view in BARE]

urlpatterns.append(path("ring/<how>/<key>/", views.ring))
urlpatterns.append(path("two_senders/<how>/<key>/", views.two_senders))

"""Names without passwords: a name belongs to whoever uses it, until they log out or their session expires."""

from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.contrib.auth.signals import user_logged_out
from django.db.models import Q
from django.dispatch import receiver
from django.utils import timezone

User = get_user_model()


def claim(name):
    """Return the user of a name, or None if somebody else is using it.

    A user who has a password, such as an administrator, cannot be claimed.
    """
    user, _ = User.objects.get_or_create(
        username__iexact=name, defaults={"username": name, "password": make_password(None)}
    )
    now = timezone.now()
    expired = now - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    free = User.objects.filter(Q(last_login=None) | Q(last_login__lt=expired), pk=user.pk)
    # One query looks and takes: of two people who come at the same time, one gets the name.
    taken = not user.has_usable_password() and free.update(last_login=now)
    return user if taken else None


@receiver(user_logged_out)
def release(user, **_more):
    if user is not None and not user.has_usable_password():
        User.objects.filter(pk=user.pk).update(last_login=None)

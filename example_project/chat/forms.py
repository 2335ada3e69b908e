"""What people fill in: their name, a room, an announcement."""

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError

from chat.models import Announcement, Room
from chat.names import claim


class NameField(forms.CharField):
    """A name of one line, without characters that are not seen, such as those that turn a text around."""

    def to_python(self, value):
        return " ".join(super().to_python(value).split())

    def validate(self, value):
        super().validate(value)
        if not value.isprintable():
            raise ValidationError("This has characters that cannot be seen.")


class LogInForm(forms.Form):
    name = NameField(max_length=30)

    def __init__(self, request, **options):
        super().__init__(**options)
        self.request = request
        self.user = None

    def clean_name(self):
        name = get_user_model().normalize_username(self.cleaned_data["name"])
        self.user = claim(name)
        if self.user is None:
            raise ValidationError(f"Somebody is called {name} already.")
        return name

    def get_user(self):
        return self.user


class RoomForm(forms.ModelForm):
    class Meta:
        model = Room
        fields = ["name"]
        field_classes = {"name": NameField}

    def clean_name(self):
        name = self.cleaned_data["name"]
        if Room.objects.filter(name__iexact=name).exists():
            raise ValidationError(f"There is a room {name} already.")
        return name


class AnnouncementForm(forms.ModelForm):
    class Meta:
        model = Announcement
        fields = ["text"]

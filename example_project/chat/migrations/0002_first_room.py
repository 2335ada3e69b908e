from django.db import migrations


def open_room(apps, _schema_editor):
    apps.get_model("chat", "Room").objects.create(name="Lobby")


class Migration(migrations.Migration):
    dependencies = [("chat", "0001_initial")]

    operations = [migrations.RunPython(open_room, migrations.RunPython.noop)]

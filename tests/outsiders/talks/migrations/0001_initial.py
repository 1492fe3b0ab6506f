import talks.models
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Talk",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("title", models.CharField(max_length=30)),
                ("year", models.IntegerField(default=2024)),
                ("accepted", models.BooleanField(default=True)),
            ],
            options={"base_manager_name": "objects", "default_manager_name": "objects"},
            managers=[
                ("objects", models.Manager()),
                ("chosen", talks.models.AcceptedManager()),
            ],
        ),
        migrations.CreateModel(
            "Imported",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=20)),
            ],
            options={"managed": False},
        ),
    ]

import django.db.models.deletion
import talks.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("talks", "0001_initial")]
    operations = [
        migrations.CreateModel(
            "Tag",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=20, unique=True)),
            ],
        ),
        migrations.AddField("talk", "tags", models.ManyToManyField(blank=True, to="talks.tag")),
        migrations.CreateModel(
            "Keynote",
            [
                (
                    "talk_ptr",
                    models.OneToOneField(
                        auto_created=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                        to="talks.talk",
                    ),
                ),
                ("fee", models.IntegerField(default=0)),
            ],
            options={"base_manager_name": "objects", "default_manager_name": "objects"},
            bases=("talks.talk",),
            managers=[
                ("objects", models.Manager()),
                ("chosen", talks.models.AcceptedManager()),
            ],
        ),
        migrations.CreateModel(
            "ShortTalk",
            [],
            options={"proxy": True, "indexes": [], "constraints": []},
            bases=("talks.talk",),
            managers=[
                ("objects", models.Manager()),
                ("chosen", talks.models.AcceptedManager()),
            ],
        ),
    ]

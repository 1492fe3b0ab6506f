import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("talks", "0002_more")]
    operations = [
        migrations.AlterField("talk", "title", models.CharField(max_length=50)),
        migrations.CreateModel(
            "Link",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("url", models.CharField(max_length=100)),
                (
                    "talk",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="links",
                        to="talks.talk",
                    ),
                ),
            ],
        ),
    ]

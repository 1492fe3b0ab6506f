"""The migration that is measured."""

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("stories", "0001_initial")]
    operations: ClassVar = [
        migrations.AddField("section", "colour", models.CharField(max_length=20, default="red"))
    ]

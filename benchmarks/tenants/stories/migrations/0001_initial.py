"""The tables: with a site, or in a schema of the tenant."""

from typing import ClassVar

from django.conf import settings
from django.db import migrations, models

OF_SITE = [] if settings.SCHEMAS else [("site", models.ForeignKey("sites.Site", models.PROTECT))]


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = [] if settings.SCHEMAS else [("sites", "0002_alter_domain_unique")]
    operations: ClassVar = [
        migrations.CreateModel(
            name=name,
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                (text, models.CharField(max_length=100)),
                *OF_SITE,
            ],
        )
        for name, text in (("Story", "title"), ("Section", "name"))
    ]

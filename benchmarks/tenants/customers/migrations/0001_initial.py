"""The tables that the abstract models of either package describe."""

from typing import Any, ClassVar

from django.apps import apps
from django.db import migrations, models

FOLDERS: list[tuple[str, Any]] = [
    ("folder", models.SlugField(max_length=253, blank=True)),
    ("redirect_to_primary", models.BooleanField(default=False)),
]
EXTRA = FOLDERS if apps.is_installed("django_pgschemas") else []


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar = []
    operations: ClassVar = [
        migrations.CreateModel(
            name="Tenant",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("schema_name", models.CharField(max_length=63, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name="Domain",
            fields=[
                ("id", models.BigAutoField(primary_key=True)),
                ("domain", models.CharField(max_length=253, unique=True)),
                ("is_primary", models.BooleanField(default=True, db_index=True)),
                (
                    "tenant",
                    models.ForeignKey("customers.Tenant", models.CASCADE, related_name="domains"),
                ),
                *EXTRA,
            ],
        ),
    ]

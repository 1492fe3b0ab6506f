"""Fields, forms, the admin and migrations know nothing of the folders."""

import pytest
from django.contrib.admin.widgets import AdminFileWidget
from django.core.files.storage import default_storage, storages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ModelState, ProjectState
from django.db.migrations.writer import MigrationWriter
from django.forms import modelform_factory, modelformset_factory
from django.template import engines
from django.test import override_settings
from django.test.utils import isolate_apps

from sitefleet import override_site
from sitefleet.persite.storage import SiteStorage
from tests.persite.storage.saving import DJANGO, REMOTE


def private_storage():
    return storages["private"]


def document_class():
    class Document(models.Model):
        title = models.CharField(max_length=20)
        file = models.FileField(upload_to="docs", max_length=24)
        private = models.FileField(storage=private_storage, blank=True)

        class Meta:
            app_label = "news"
            db_table = "documents_of_a_test"

        def __str__(self):
            return self.title

    return Document


@pytest.fixture
def document(db):
    with isolate_apps("tests.news"):
        model = document_class()
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE documents_of_a_test (id integer PRIMARY KEY, title varchar(20),"
                " file varchar(24), private varchar(100))"
            )
        yield model


def upload(name="a.txt", content=b"x"):
    return SimpleUploadedFile(name, content)


def test_a_row_can_be_copied_to_another_site_as_it_is(document, site, other_site, media):
    with override_site(site):
        row = document.objects.create(title="A", file=upload(content=b"of A"))
    row = document.objects.get(pk=row.pk)
    assert row.file.name == "docs/a.txt", "the name does not hold the site"
    with override_site(other_site):
        assert row.file.url == f"/media/sites/{other_site.pk}/docs/a.txt"
        assert row.file.path == str(media / f"sites/{other_site.pk}/docs/a.txt")
        with pytest.raises(FileNotFoundError):
            row.file.read()
    with override_site(site):
        with row.file.open() as file:
            assert file.read() == b"of A"
        row.file.delete()
        assert not default_storage.exists("docs/a.txt")


def test_names_of_fields_are_as_long_as_the_column(document, site):
    with override_site(site):
        for _ in (1, 2):
            row = document.objects.create(file=upload(f"{'x' * 40}.txt"))
            assert len(row.file.name) == 24
            assert default_storage.exists(row.file.name)


def test_fields_may_name_another_storage(document, site, media):
    with override_site(site):
        row = document.objects.create(private=upload("secret.txt"))
    assert (media / f"private/sites/{site.pk}" / row.private.name).exists()


def test_forms_and_formsets_save_below_the_site(document, site, other_site):
    form_class = modelform_factory(document, fields=["title", "file"])
    form_set = modelformset_factory(document, form_class, fields=["title", "file"])
    for one in (site, other_site):
        with override_site(one):
            form = form_class({"title": "t"}, {"file": upload()})
            assert form.is_valid()
            assert form.save().file.name == "docs/a.txt"
            data = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "0", "form-0-title": "t"}
            forms = form_set(
                data, {"form-0-file": upload("b.txt")}, queryset=document.objects.none()
            )
            assert forms.is_valid()
            assert [row.file.name for row in forms.save()] == ["docs/b.txt"]
            assert set(default_storage.listdir("docs")[1]) == {"a.txt", "b.txt"}


def test_templates_and_the_admin_link_to_the_file_of_the_site(document, fleet):
    below = fleet[2]
    with override_site(below):
        row = document(file="docs/a.txt")
        url = f"/de/media/sites/{below.pk}/docs/a.txt"
        template = engines["django"].from_string("{{ row.file.url }}")
        assert template.render({"row": row}) == url
        assert f'href="{url}"' in AdminFileWidget().render("file", row.file)


def changes(before, after):
    return MigrationAutodetector(before, after)._detect_changes()


def test_to_switch_it_on_is_no_migration(site):
    with isolate_apps("tests.news"):
        on = ProjectState()
        on.add_model(ModelState.from_model(document_class()))
    plain = {"BACKEND": f"{DJANGO}FileSystemStorage"}
    with override_settings(STORAGES={"default": plain, "private": plain}):
        with isolate_apps("tests.news"):
            off = ProjectState()
            off.add_model(ModelState.from_model(document_class()))
        assert changes(off, on) == changes(on, off) == {}


class Special(SiteStorage):
    pass


def test_a_storage_in_a_field_can_be_written_into_a_migration():
    storage = SiteStorage(REMOTE, {"bucket": "b"})
    written, imports = MigrationWriter.serialize(storage)
    assert written == (
        f"sitefleet.persite.storage.SiteStorage(BACKEND={REMOTE!r}, OPTIONS={{'bucket': 'b'}})"
    )
    assert imports == {"import sitefleet.persite.storage"}
    path, args, kwargs = Special().deconstruct()
    assert path == f"{Special.__module__}.Special"
    assert Special(*args, **kwargs).deconstruct() == (path, args, kwargs)


def test_a_storage_of_one_site_cannot_be_written_into_a_migration(site):
    with pytest.raises(ValueError, match="function that returns"):
        SiteStorage().for_site(site).deconstruct()

"""No name leads out of the folder of a site, and each is as long as a row holds."""

from itertools import product
from pathlib import Path

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from sitefleet import override_site
from sitefleet.persite.storage import SiteStorage
from tests.persite.storage.saving import REMOTE, read, save

OUTSIDE = [
    "../2/a.txt",
    "a/../../2/a.txt",
    "..",
    "..\\2\\a.txt",
    "a\\..\\..\\2\\a.txt",
    "/etc/passwd",
    "\\etc\\passwd",
    "//host/share",
    "a\0.txt",
    "./../2/a.txt",
]


def test_row_18_no_name_leads_out_of_the_folder(storage, site, other_site):
    save(storage, other_site, "a.txt")
    methods = ("open", "exists", "delete", "size", "path", "listdir", "url", "get_modified_time")
    for method, name in product(methods, OUTSIDE):
        with override_site(site), pytest.raises(SuspiciousFileOperation):
            getattr(storage, method)(name)


def test_row_18_nothing_is_written_out_of_the_folder_nor_in_its_place(storage, site):
    methods = ("save", "get_available_name", "is_name_available", "generate_filename")
    for method, name in product(methods, [*OUTSIDE, "", ".", "a/", "a/.."]):
        arguments = [ContentFile(b"x")] if method == "save" else []
        with override_site(site), pytest.raises(SuspiciousFileOperation):
            getattr(storage, method)(name, *arguments)


def test_the_folder_of_another_site_is_a_folder_of_ones_own(storage, site, other_site):
    save(storage, other_site, "a.txt")
    with override_site(site):
        nested = f"sites/{other_site.pk}/a.txt"
        assert not storage.exists(nested)
        assert storage.save(nested, ContentFile(b"mine")) == nested
        assert read(storage, nested) == b"mine"
    with override_site(other_site):
        assert read(storage, "a.txt") == str(other_site.pk).encode()


def test_other_spellings_of_a_name_are_the_same_file(storage, site):
    save(storage, site, "a/b.txt", b"x")
    with override_site(site):
        for name in ("./a/b.txt", "a//b.txt", "a\\b.txt", "a/./b.txt", Path("a/b.txt")):
            assert read(storage, name) == b"x"


def test_a_path_below_the_site_is_a_name_as_for_django(site, other_site):
    name = save(default_storage, site)
    with override_site(site):
        path = default_storage.path(name)
        assert default_storage.exists(path)
        assert default_storage.exists(default_storage.path(""))
    with override_site(other_site), pytest.raises(SuspiciousFileOperation):
        default_storage.exists(path)


def test_a_path_that_only_begins_like_that_of_the_site_is_not_below_it(site):
    with override_site(site), pytest.raises(SuspiciousFileOperation):
        default_storage.exists(f"{default_storage.location}0/a.txt")


def test_the_folder_itself_cannot_be_deleted(storage, site):
    for name in ("", ".", "./"):
        with override_site(site), pytest.raises(ValueError, match="must be given"):
            storage.delete(name)


def test_a_site_without_files_has_an_empty_folder(storage, site):
    with override_site(site):
        assert storage.listdir("") == ([], [])


def test_a_folder_that_is_not_there_is_not_there(site):
    with override_site(site), pytest.raises(FileNotFoundError):
        default_storage.listdir("nothing")


def test_a_taken_name_gets_another_one(storage, site):
    first, second = save(storage, site, "a.txt", b"1"), save(storage, site, "a.txt", b"2")
    assert first == "a.txt" != second
    with override_site(site):
        assert (read(storage, first), read(storage, second)) == (b"1", b"2")


def test_the_folder_takes_no_room_of_what_the_database_holds(storage, site):
    for length in (17, 20, 30):
        name = f"{'x' * (length - 4)}.txt"
        with override_site(site):
            assert storage.save(name, ContentFile(b"1"), max_length=length) == name
            other = storage.save(name, ContentFile(b"2"), max_length=length)
            assert len(other) == length
            assert other != name
            assert storage.is_name_available("y" * length, max_length=length)
            assert not storage.is_name_available("y" * (length + 1), max_length=length)
            assert len(storage.get_available_name("z" * 99, max_length=length)) == length
            with pytest.raises(SuspiciousFileOperation):
                storage.get_available_name(f"{'d' * length}/a.txt", max_length=length)


def test_a_content_gives_its_name(site):
    with override_site(site):
        assert default_storage.save(None, ContentFile(b"x", "own.txt")) == "own.txt"
        with pytest.raises(TypeError):
            default_storage.save(None, ContentFile(b"x"))


def test_what_the_inner_storage_puts_elsewhere_is_refused(site):
    storage = SiteStorage("tests.persite.remote_storage.Renaming")
    with override_site(site), pytest.raises(SuspiciousFileOperation, match="elsewhere"):
        storage.save("a.txt", ContentFile(b"x"))


def test_the_inner_storage_decides_how_names_are_made(site):
    storage = SiteStorage(REMOTE, {"overwrite": True})
    assert [save(storage, site, "a.txt") for _ in (1, 2)] == ["a.txt"] * 2

"""Files of a site are in its folder, whichever storage keeps them."""

import inspect
import pickle
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import Storage, default_storage, storages

from sitefleet import override_site
from sitefleet.exceptions import NoCurrentSite
from sitefleet.persite.storage import SiteStorage
from tests.persite.storage.saving import REMOTE, read, save


def test_row_18_the_same_name_on_two_sites_never_meets(storage, site, other_site):
    assert [save(storage, one) for one in (site, other_site)] == ["invoice.pdf"] * 2
    for one in (site, other_site, site):
        with override_site(one):
            assert read(storage, "invoice.pdf") == str(one.pk).encode()
            assert storage.listdir("") == ([], ["invoice.pdf"])
    with override_site(site):
        storage.delete("invoice.pdf")
        assert not storage.exists("invoice.pdf")
    with override_site(other_site):
        assert storage.exists("invoice.pdf")


def test_row_11_one_storage_in_one_process_follows_from_site_to_site(fleet):
    seen = []
    for one in (*fleet, *fleet):
        with override_site(one):
            seen.append((default_storage.url("a"), default_storage.path("a")))
    assert seen[:3] == seen[3:]
    assert len(set(seen)) == 3


def test_files_are_in_the_folder_of_the_sites_id(site, media):
    save(default_storage, site, "a/b.txt")
    assert [path.relative_to(media) for path in media.rglob("*.txt")] == [
        Path(f"sites/{site.pk}/a/b.txt")
    ]


def test_without_a_current_site_nothing_is_touched(storage, db):
    calls = {
        "open": ["a"],
        "save": ["a", ContentFile(b"")],
        "get_available_name": ["a"],
        "is_name_available": ["a"],
        "generate_filename": ["a"],
        "path": ["a"],
        "delete": ["a"],
        "exists": ["a"],
        "listdir": ["a"],
        "size": ["a"],
        "url": ["a"],
        "get_accessed_time": ["a"],
        "get_created_time": ["a"],
        "get_modified_time": ["a"],
    }
    for name, arguments in calls.items():
        with pytest.raises(NoCurrentSite):
            getattr(storage, name)(*arguments)
    for name in ("location", "base_location", "base_url") if hasattr(storage.inner, "path") else ():
        if hasattr(storage.inner, name):
            with pytest.raises(NoCurrentSite):
                getattr(storage, name)


def public_methods():
    return {
        name
        for name, value in inspect.getmembers(Storage, callable)
        if not name.startswith("_") and name != "deconstruct"
    }


def test_every_method_of_djangos_storages_is_mapped():
    """A method that a new Django adds fails here: unmapped it would reach all sites."""
    assert public_methods() <= vars(SiteStorage).keys()


#: Of a file name alone, without its folder.
BARE = {"get_valid_name": ("a b.txt",), "get_alternative_name": ("a", ".txt")}
#: What methods take besides names.
FURTHER = {"save": (ContentFile(b""),)}


@pytest.mark.parametrize("name", sorted(public_methods()))
def test_the_inner_storage_is_asked_by_the_same_method_for_a_name_below_the_site(
    monkeypatch, site, name
):
    storage, asked = SiteStorage(), []

    def spy(*arguments, **_):
        asked.append(arguments)
        return f"sites/{site.pk}/answer"

    monkeypatch.setattr(storage.inner, name, spy)
    with override_site(site):
        if name in BARE:
            getattr(storage, name)(*BARE[name])
            assert asked == [BARE[name]]
        else:
            answer = getattr(storage, name)("a/b.txt", *FURTHER.get(name, ()))
            assert asked[0][0] == f"sites/{site.pk}/a/b.txt"
            gives_name = name in {"save", "get_available_name", "generate_filename"}
            assert (answer == "answer") is gives_name


def test_a_file_can_be_asked_for_its_size_and_times(site, media):
    name = save(default_storage, site, content=b"four")
    with override_site(site):
        assert default_storage.size(name) == 4
        assert default_storage.path(name) == str(media / f"sites/{site.pk}" / name)
        times = [f"get_{time}_time" for time in ("accessed", "created", "modified")]
        assert all(getattr(default_storage, time)(name).year > 2020 for time in times)


def test_attributes_are_those_of_the_site(site, media):
    with override_site(site):
        folder = f"sites/{site.pk}"
        assert default_storage.location == str(media / folder)
        assert default_storage.base_location == str(media / folder)
        assert default_storage.base_url == f"/media/{folder}/"
        assert storages["private"].base_url == f"/media/{folder}/"


def test_attributes_that_the_inner_storage_has_not_are_not_there(site):
    with override_site(site):
        for name in ("location", "base_location", "base_url"):
            assert not hasattr(storages["remote"], name)


def test_files_without_an_address_have_none(site, monkeypatch):
    storage = SiteStorage()
    monkeypatch.setattr(storage.inner, "base_url", None)
    with override_site(site):
        assert storage.base_url is None
        with pytest.raises(ValueError, match="not accessible"):
            storage.url("a.txt")


def test_attributes_that_nobody_has_mapped_are_not_handed_out():
    for name in ("bucket", "objects", "file_permissions_mode", "_root"):
        for storage in (storages["remote"], storages["default"]):
            assert not hasattr(storage, name)


def test_another_sites_files_are_had_on_purpose_only(storage, site, other_site):
    save(storage, other_site, "a.txt")
    with override_site(site):
        for given in (other_site, other_site.pk):
            theirs = storage.for_site(given)
            assert read(theirs, "a.txt") == str(other_site.pk).encode()
            assert theirs.folder == f"sites/{other_site.pk}"
        assert not storage.exists("a.txt")
    assert storage.for_site(other_site).exists("a.txt"), "no current site is needed"


def test_for_site_takes_a_site_or_its_id():
    for wrong in ("two", None, 1.5, True):
        with pytest.raises(TypeError):
            SiteStorage().for_site(wrong)


def test_each_alias_has_files_of_its_own(site, media):
    save(storages["private"], site, "a.txt")
    assert (media / f"private/sites/{site.pk}/a.txt").exists()
    with override_site(site):
        assert not default_storage.exists("a.txt")


def test_a_storage_that_is_not_wrapped_is_shared_on_purpose(site, other_site):
    save(storages["shared"], site, "logo.svg")
    with override_site(other_site):
        assert storages["shared"].exists("logo.svg")


def test_storages_survive_a_pickle(site):
    again = pickle.loads(pickle.dumps(SiteStorage(REMOTE, {"bucket": "b"})))  # noqa: S301 - ours
    with override_site(site):
        assert again.url("a").startswith("https://cdn.example/b/sites/")

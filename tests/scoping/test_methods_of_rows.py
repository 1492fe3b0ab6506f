"""Every public method of instances and of related managers obeys the site: see test_methods."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
from django.db.models import Manager, Model

from sitefleet import override_site
from sitefleet.exceptions import CrossSiteWrite, SiteRequired
from tests.rooms.furnished import each, finish, present, public
from tests.rooms.models import Person

#: Called with an instance.
INSTANCES = {
    "adelete": lambda row: row.adelete(),
    "arefresh_from_db": lambda row: row.arefresh_from_db(),
    "asave": lambda row: row.asave(),
    "delete": lambda row: row.delete(),
    "refresh_from_db": lambda row: row.refresh_from_db(),
    "save": lambda row: row.save(),
    "save with force_insert": lambda row: row.save(force_insert=True),
    "save with force_update": lambda row: row.save(force_update=True),
    "save with update_fields": lambda row: row.save(update_fields=[a_field(row)]),
    "save_base": lambda row: row.save_base(),
}
QUIET = {
    "DoesNotExist", "MultipleObjectsReturned", "NotUpdated", "check", "clean", "clean_fields",
    "date_error_message", "from_db", "full_clean", "get_constraints", "get_deferred_fields",
    "objects", "pk", "prepare_database_save", "serializable_value", "unique_error_message",
    "validate_constraints", "validate_unique",
}  # fmt: skip
KINDS = ("building", "tag", "room", "hall", "notice", "booking")

#: Related managers, and an object that belongs into them.
RELATED = {
    "building.rooms": lambda rows: (rows.building.rooms, rows.room),
    "person.visited": lambda rows: (rows.person.visited, rows.room),
    "room.guests": lambda rows: (rows.room.guests, rows.person),
    "room.neighbours": lambda rows: (rows.room.neighbours, rows.hall.room_ptr),
    "room.tags": lambda rows: (rows.room.tags, rows.tag),
    "tag.tagged": lambda rows: (rows.tag.tagged, rows.room),
}
RELATED_METHODS = {
    "aadd": lambda manager, row: manager.aadd(row),
    "aclear": lambda manager, _: manager.aclear(),
    "acreate": lambda manager, _: manager.acreate(name="new"),
    "add": lambda manager, row: manager.add(row),
    "aget_or_create": lambda manager, _: manager.aget_or_create(name="new"),
    "aremove": lambda manager, row: manager.aremove(row),
    "aset": lambda manager, row: manager.aset([row]),
    "aupdate_or_create": lambda manager, _: manager.aupdate_or_create(name="new"),
    "clear": lambda manager, _: manager.clear(),
    "create": lambda manager, _: manager.create(name="new"),
    "get_or_create": lambda manager, _: manager.get_or_create(name="new"),
    "remove": lambda manager, row: manager.remove(row),
    "set": lambda manager, row: manager.set([row]),
    "set_base": lambda manager, row: manager.set_base([row]),  # from Django 6.1 on
    "update_or_create": lambda manager, _: manager.update_or_create(name="new"),
}
OF_RELATED_MANAGERS = {
    "constrained_target", "core_filters", "do_not_call_in_templates", "field",
    "get_prefetch_cache", "get_prefetch_queryset", "get_prefetch_querysets", "instance", "model",
    "name", "pk_field_names", "prefetch_cache_name", "query_field_name", "related_val", "reverse",
    "source_field", "source_field_name", "symmetrical", "target_field", "target_field_name",
    "through",
}  # fmt: skip


def a_field(row):
    return {"Hall": "seats", "Notice": "text", "Booking": "day"}.get(type(row).__name__, "name")


def test_no_method_of_instances_is_unknown():
    assert public(Model) <= INSTANCES.keys() | QUIET


@pytest.mark.parametrize("kind", KINDS)
def test_no_method_reads_saves_or_deletes_an_instance_of_another_site(world, kind):
    row = getattr(world.b, kind)

    def look(name, case):
        expected = type(row).DoesNotExist if "refresh" in name else CrossSiteWrite
        with override_site(world.a.site), pytest.raises(expected):
            finish(case, copy.deepcopy(row))
        world.assert_theirs_untouched()

    each(INSTANCES, look)


@pytest.mark.parametrize("kind", KINDS)
def test_no_method_reads_saves_or_deletes_an_instance_without_a_site(world, kind):
    def look(name, case):
        with pytest.raises(SiteRequired):
            finish(case, copy.deepcopy(getattr(world.b, kind)))
        world.assert_theirs_untouched()

    each(INSTANCES, look)


@pytest.mark.parametrize("kind", KINDS)
def test_instances_of_the_current_site_are_read_saved_and_deleted(world, kind):
    def look(name, case):
        row = copy.deepcopy(getattr(world.a, kind))
        with override_site(world.a.site):
            finish(case, row)
            assert type(row)._base_manager.filter(pk=row.pk).exists() is ("delete" not in name)
        world.assert_theirs_untouched()

    each({name: case for name, case in INSTANCES.items() if "insert" not in name}, look)


@pytest.mark.parametrize("related", RELATED)
def test_no_method_of_related_managers_is_unknown(world, related):
    manager = RELATED[related](world.a)[0]
    assert public(manager) - public(Manager) <= RELATED_METHODS.keys() | OF_RELATED_MANAGERS


@pytest.mark.parametrize("related", RELATED)
def test_nothing_is_related_without_a_site(world, related):
    manager, row = RELATED[related](world.a)

    def look(name, case):
        with pytest.raises(SiteRequired):
            finish(case, manager, row)

    each(present(manager, RELATED_METHODS), look)


@pytest.mark.parametrize("related", RELATED)
def test_no_row_of_another_site_gets_related(world, related):
    manager, row = RELATED[related](world.a)[0], RELATED[related](world.b)[1]

    def look(name, case):
        with override_site(world.a.site), suppress(CrossSiteWrite):
            finish(case, manager, row)
        with override_site(world.a.site):
            assert isinstance(row, Person) or not manager.filter(name__startswith="bb").exists()
        world.assert_theirs_untouched()

    each(present(manager, RELATED_METHODS), look)


@pytest.mark.parametrize("related", sorted(RELATED.keys() - {"person.visited"}))
def test_nothing_gets_related_to_a_row_of_another_site(world, related):
    manager, row = RELATED[related](world.b)[0], RELATED[related](world.a)[1]

    def look(name, case):
        with override_site(world.a.site), suppress(CrossSiteWrite):
            finish(case, manager, row)
        world.assert_theirs_untouched()
        with override_site(world.a.site):
            assert not manager.exists()

    each(present(manager, RELATED_METHODS), look)

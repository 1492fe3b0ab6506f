"""What somebody has written goes to nobody else; and no file gives rights in the fleet."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sites.models import Site
from django.db import models

from sitefleet import override_site
from sitefleet.exceptions import TransferRefused
from sitefleet.scoping import SiteField, cross_site
from sitefleet.scoping.transfer import references, rights
from sitefleet.scoping.transfer.cloning import clone_site
from sitefleet.scoping.transfer.deleting import delete_site
from sitefleet.scoping.transfer.mapping import Mapping
from sitefleet.scoping.transfer.references import describe, find, is_user
from sitefleet.scoping.transfer.rights import gives_rights, take_away
from tests.rooms.models import Tag
from tests.scoping.test_transfer_kinds import NEXT, define, models_of, site  # noqa: F401
from tests.scoping.transferring import exported, imported, records_in, whole

pytestmark = pytest.mark.acceptance  # they make tables
NOT_SURE = "not surely the same"


def with_site(name, **fields):
    return define(name, site=SiteField(Site, models.CASCADE, related_name="+"), **fields)


def key_to(model, **options):
    return models.ForeignKey(model, models.CASCADE, related_name="+", **options)


@pytest.fixture
def ann(site):  # noqa: F811
    return User.objects.create_user("ann", "ann@example.org")


class KeyedByAccount(models.Manager):
    def get_by_natural_key(self, name):
        return self.get(user__username=name)


@pytest.mark.parametrize("keyed", [False, True])
def test_a_profile_is_the_same_only_where_its_account_is(site, ann, keyed):  # noqa: F811
    more = {}
    if keyed:
        more = {"objects": KeyedByAccount(), "natural_key": lambda row: row.user.natural_key()}
    profile = define(
        "Profile",
        user=models.OneToOneField(User, models.CASCADE, related_name="+"),
        bio=models.TextField(default=""),
        **more,
    )
    talk = with_site("Talk", speaker=key_to(profile))
    with models_of(profile, talk):
        hers = profile.objects.create(user=ann)
        with override_site(site):
            talk.objects.create(speaker=hers)
        data = exported(site)
        delete_site(site)
        delete_site(imported(data).site)
        User.objects.update(email="eve@example.org")
        with pytest.raises(TransferRefused, match=NOT_SURE):
            imported(data)
        User.objects.update(email="ann@example.org", username="eve")
        with pytest.raises(TransferRefused, match=NOT_SURE):
            imported(data)
        new = imported(data, map={"rooms.profile": {str(hers.pk): str(hers.pk)}}).site
        with override_site(new):
            assert talk.objects.get().speaker == hers


def test_what_a_row_leads_to_is_looked_at_on_all_its_ways(site, ann):  # noqa: F811
    firm = define("Firm", name=models.CharField(max_length=9), owner=key_to(User, null=True))
    desk = define("Desk", firm=key_to(firm), other=key_to("self", null=True))
    with models_of(firm, desk):
        first = firm.objects.create(name="a", owner=ann)
        row = desk.objects.create(firm=first)
        told = describe(row, row.pk)
        assert find(desk, told, "default") == row.pk
        User.objects.update(email="eve@example.org")
        assert find(desk, told, "default") is None
        User.objects.update(email="ann@example.org")
        firm.objects.update(name="b")
        assert find(desk, told, "default") is None
        firm.objects.update(name="a", owner=None)
        assert find(desk, told, "default") is None
        desk.objects.update(other=row)  # a ring ends
        row.refresh_from_db()
        assert find(desk, describe(row, row.pk), "default") == row.pk


def test_a_row_that_an_account_is_is_the_same_only_where_the_account_is(site, ann):  # noqa: F811
    card = define("Card", text=models.CharField(max_length=9))
    member = type(
        "Member",
        (User,),
        {
            "__module__": __name__,
            "Meta": type("Meta", (), {"app_label": "rooms"}),
            "card": models.OneToOneField(card, models.CASCADE, related_name="+"),
        },
    )
    with models_of(card, member):
        row = card.objects.create(text="a")
        account = member.objects.create_user("bea", "bea@example.org", card=row)
        assert is_user(member)
        told, told_card = describe(account, account.pk), describe(row, row.pk)
        assert find(member, told, "default") == account.pk
        assert find(card, told_card, "default") == row.pk
        member.objects.update(email="other@example.org")
        assert find(member, told, "default") is None
        assert find(card, told_card, "default") is None


def test_without_the_moment_it_was_made_only_the_address_tells(ann, monkeypatch):
    told = describe(ann, ann.pk)
    monkeypatch.setattr(references, "LASTING", "no_such_field")
    told_less = describe(ann, ann.pk)
    assert find(User, told_less, "default") == ann.pk
    User.objects.update(email="")
    assert find(User, told_less, "default") is None
    monkeypatch.undo()
    assert find(User, told, "default") == ann.pk
    User.objects.update(email="eve@example.org")
    assert find(User, told, "default") is None


def test_addresses_are_compared_without_case_and_without_more(ann):
    User.objects.update(email="STRASSE@example.org")
    told = describe(User.objects.get(), ann.pk) | {"same": "?"}
    assert find(User, told | {"email": "strasse@example.org"}, "default") == ann.pk
    assert find(User, told | {"email": "stra\xdfe@example.org"}, "default") is None


@pytest.fixture
def post(site, ann):  # noqa: F811
    """A model of which the site has a row of ann."""
    model = with_site("Post", author=key_to(User))
    with models_of(model):
        with override_site(site):
            model.objects.create(author=ann)
        yield model


def test_a_map_says_who_is_meant_or_is_refused(site, ann, post):  # noqa: F811
    bob = User.objects.create_user("bob")
    data = exported(site)
    delete_site(site)
    new = imported(data, map={"auth.user": {ann.pk: str(bob.pk)}}).site
    with override_site(new):
        assert post.objects.get().author == bob
    delete_site(new)
    key = str(ann.pk)
    for said, why in [
        ({"auth.Nobody": {key: bob.pk}}, "not here"),
        ({"auth": {key: bob.pk}}, "not here"),
        ({"auth.User": [key]}, "wants"),
        ([], "wants"),
        ({"auth.User": {key: bob.pk}, "auth.user": {key: ann.pk}}, "twice"),
        ({"auth.User": {key: bob.pk, "77": bob.pk}}, r"not refer to: auth\.User 77"),
        ({"auth.Group": {key: 1}}, "not here"),
        *(({"auth.User": {key: bad}}, "no key") for bad in (True, None, [1], {}, 1.0)),
        *(({"auth.User": {key: bad}}, "cannot be") for bad in ("x", 10**30)),
        ({"auth.User": {key: 999}}, "not here"),
    ]:
        with pytest.raises(TransferRefused, match=why):
            imported(data, map=said)
    assert Site.objects.count() == 0


def test_only_accounts_that_are_needed_and_can_be_are_made(site, ann, post):  # noqa: F811
    records = records_in(exported(site))
    delete_site(site)
    with cross_site("there is none left"):
        ann.delete()
    place = next(place for place, record in enumerate(records) if "ref" in record)
    records.insert(place, records[place] | {"pk": 99, "key": ["spam"], "email": "s@example.org"})
    new = imported(whole(records), create_users=True).site
    assert [user.username for user in User.objects.all()] == ["ann"]
    delete_site(new)
    with cross_site("there is none left"):
        User.objects.all().delete()
    for wrong in ({"key": ["x" * 300]}, {"key": ["a b\n"]}, {"email": "nobody"}):
        forged = [*records[: place + 1], records[place + 1] | wrong, *records[place + 2 :]]
        with pytest.raises(TransferRefused, match="cannot be made"):
            imported(whole(forged), create_users=True)
    assert not User.objects.exists()


def test_groups_permissions_and_flags_come_with_a_clone_and_with_no_file(site, ann):  # noqa: F811
    grant = with_site("Grant", user=key_to(User), group=key_to(Group))
    badge = with_site("Badge", group=key_to(Group))
    with models_of(grant, badge):
        group = Group.objects.create(name="chiefs")
        with override_site(site):
            grant.objects.create(user=ann, group=group)
            badge.objects.create(group=group)
        assert clone_site(site, NEXT).rows == {"rooms.Grant": 1, "rooms.Badge": 1}
        data = exported(site)
        delete_site(site)
        report = imported(data)
        assert (report.rows, report.left_out) == ({"rooms.Badge": 1}, {"rooms.Grant": 1})
        delete_site(report.site)
        delete_site(Site.objects.get(siteconfig__slug="next"))
        with cross_site("there is none left"):
            group.delete()
        with pytest.raises(TransferRefused, match=r"rooms\.Badge\.group"):
            imported(data)


def test_accounts_of_a_site_come_without_their_flags(site, monkeypatch):  # noqa: F811
    account = with_site("Account", is_staff=models.BooleanField())
    monkeypatch.setattr(rights, "is_user", lambda model: model is account)
    with models_of(account):
        with override_site(site):
            account.objects.create(is_staff=True)
        new = clone_site(site, NEXT).site
        with override_site(new):
            assert account.objects.get().is_staff
        data = exported(site)
        delete_site(site)
        with override_site(imported(data).site):
            assert not account.objects.get().is_staff


def test_nobody_is_mapped_to_a_row_of_a_site(site):  # noqa: F811
    with override_site(site):
        tag = Tag.objects.create(name="one")
    with pytest.raises(TransferRefused, match="not shared"):
        Mapping({"rooms.Tag": {"1": tag.pk}}, "default")
    with cross_site("of all sites"):
        tag = Tag.objects.create(name="all", site=None)
    assert Mapping({"rooms.tag": {1: tag.pk}}, "default").find(Tag, 1, "id") == tag.pk


def test_what_gives_rights_is_known(site):  # noqa: F811
    for model in (User.groups.through, User.user_permissions.through, Group.permissions.through):
        assert gives_rights(model)
    for model in (User, Group, Permission, ContentType):
        assert not gives_rights(model)
    values = {"username": "ann", "is_staff": True, "is_superuser": True}
    take_away(User, values)
    assert values == {"username": "ann", "is_staff": False, "is_superuser": False}

"""What there is to see: three conferences of a series, and people who come again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User
from django.contrib.sites.models import Site
from reversion import create_revision
from wafer.pages.models import Page
from wafer.schedule.models import ScheduleBlock, ScheduleItem, Slot, Venue
from wafer.sponsors.models import Sponsor, SponsorshipPackage
from wafer.talks.models import (
    ACCEPTED,
    SUBMITTED,
    Review,
    ReviewAspect,
    Score,
    Talk,
    TalkType,
    Track,
)
from wafer.tickets.models import Ticket, TicketType

from sitefleet import override_site

PEOPLE = {
    "ada": ("Ada", "Moyo"),
    "ben": ("Ben", "Okafor"),
    "cleo": ("Cleo", "Brandt"),
    "dan": ("Dan", "Rivera"),
}


@dataclass(frozen=True)
class Programme:
    """One conference."""

    place: str
    opens: datetime
    sponsor: str
    talks: tuple[tuple[str, str], ...]
    """Title and speaker; the last one is not accepted yet."""


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 9, tzinfo=UTC)


PROGRAMMES = {
    "conf2024": Programme(
        "Cape Town",
        _day(2024, 10, 3),
        "Table Mountain Hosting",
        (("Small servers, big rooms", "ada"), ("What we broke in May", "ben")),
    ),
    "conf2025": Programme(
        "Berlin",
        _day(2025, 9, 11),
        "Spree Software",
        (("Queues that wait for nobody", "ada"), ("A map of our mistakes", "cleo")),
    ),
    "conf2026": Programme(
        "New York",
        _day(2026, 8, 20),
        "Hudson Networks",
        (("Ten years of one table", "ada"), ("Naming the unnamed", "ben"), ("Tea time", "dan")),
    ),
}


def fill(site: Site, programme: Programme) -> None:
    """Give a conference its pages, talks, tickets, sponsors and schedule, if it has none yet."""
    people = {name: _person(name) for name in PEOPLE}
    with override_site(site), create_revision():
        if Page.objects.exists():
            return
        _pages(site, programme)
        talks = _talks(programme, people)
        _sponsor(programme)
        _tickets(programme, people)
        _schedule(programme, talks)


def _person(name: str) -> User:
    first, last = PEOPLE[name]
    defaults = {"first_name": first, "last_name": last, "email": f"{name}@people.example"}
    return User.objects.get_or_create(username=name, defaults=defaults)[0]


def _pages(site: Site, programme: Programme) -> None:
    welcome = (
        f"# {site.name}\n\n{programme.place}, {programme.opens:%d %B %Y}.\n\n"
        "[Talks](/talks/) · [Schedule](/schedule/) · [People](/users/)"
    )
    Page.objects.create(name="Welcome", slug="index", content=welcome)
    about = f"We meet in {programme.place}, thanks to {programme.sponsor}."
    Page.objects.create(name=f"About {programme.place}", slug="about", content=about,
                        include_in_menu=True, cache_time=300)  # fmt: skip


def _talks(programme: Programme, people: dict[str, User]) -> list[Talk]:
    place = programme.place
    kind = TalkType.objects.create(name=f"Talk in {place}", description="30 minutes")
    track = Track.objects.create(name=f"{place} hall", description="On stage")
    talks = []
    for title, speaker in programme.talks:
        talk = Talk.objects.create(
            title=title,
            abstract=f"{title}, told in {place}.",
            talk_type=kind,
            track=track,
            corresponding_author=people[speaker],
            status=SUBMITTED if speaker == "dan" else ACCEPTED,
        )
        talk.authors.add(people[speaker])
        talks.append(talk)
    review = Review.objects.create(talk=talks[0], reviewer=people["dan"], notes="Yes, please.")
    aspect = ReviewAspect.objects.create(name=f"Fits {place}")
    Score.objects.create(review=review, aspect=aspect, value=2)
    return talks


def _sponsor(programme: Programme) -> None:
    package = SponsorshipPackage.objects.create(
        name="Gold", price=5000, number_available=3,
        short_description="The hall is named after you.", description="And a booth.",
    )  # fmt: skip
    sponsor = Sponsor.objects.create(name=programme.sponsor, description="They keep us online.")
    sponsor.packages.add(package)


def _tickets(programme: Programme, people: dict[str, User]) -> None:
    kind = TicketType.objects.create(name=f"Entry, {programme.place}")
    for number, name in enumerate((programme.talks[-1][1], "cleo"), start=1):
        # One ticket office for all: its numbers are never given twice.
        barcode = programme.opens.year * 1000 + number
        person = people[name]
        Ticket.objects.create(barcode=barcode, email=person.email, type=kind, user=person)


def _schedule(programme: Programme, talks: list[Talk]) -> None:
    opens = programme.opens
    block = ScheduleBlock.objects.create(start_time=opens, end_time=opens + timedelta(hours=8))
    venue = Venue.objects.create(name=f"{programme.place} hall", notes="Take the stairs.")
    venue.blocks.add(block)
    accepted = [talk for talk in talks if talk.accepted]
    for number, talk in enumerate(accepted):
        begins = opens + timedelta(hours=number)
        slot = Slot.objects.create(start_time=begins, end_time=begins + timedelta(hours=1))
        item = ScheduleItem.objects.create(venue=venue, talk=talk)
        item.slots.add(slot)

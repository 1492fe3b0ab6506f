"""How the tests of storage put files away and take them out again."""

from django.core.files.base import ContentFile

from sitefleet import override_site

DJANGO = "django.core.files.storage."
REMOTE = "tests.persite.remote_storage.RemoteStorage"
KINDS = [f"{DJANGO}FileSystemStorage", f"{DJANGO}InMemoryStorage", REMOTE]


def save(storage, site, name="invoice.pdf", content=b""):
    with override_site(site):
        return storage.save(name, ContentFile(content or str(site.pk).encode()))


def read(storage, name):
    with storage.open(name) as file:
        return file.read()

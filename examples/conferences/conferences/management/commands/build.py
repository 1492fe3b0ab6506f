from pathlib import Path

from bakery.filesystem import join_path
from bakery.management.commands import build
from django.conf import settings
from django.core.files.storage import default_storage


class Command(build.Command):
    """The one that Wafer uses copies the media files of all conferences."""

    def build_media(self) -> None:
        own = Path(default_storage.location)
        if own.exists():
            media = settings.MEDIA_URL.strip("/")
            self.copytree(str(own), join_path(self.build_dir, media, default_storage.folder))

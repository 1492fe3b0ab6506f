"""A storage as those of object stores are: no paths, absolute addresses, no times to read."""

from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.utils.encoding import filepath_to_uri


class RemoteStorage(Storage):
    def __init__(self, bucket="media", overwrite=False):
        self.bucket, self.overwrite, self.objects = bucket, overwrite, {}

    def _open(self, name, mode="rb"):
        if name not in self.objects:
            raise FileNotFoundError(name)
        return ContentFile(self.objects[name], name)

    def _save(self, name, content):
        self.objects[name] = content.read()
        return name

    def get_available_name(self, name, max_length=None):
        return name if self.overwrite else super().get_available_name(name, max_length)

    def delete(self, name):
        self.objects.pop(name, None)

    def exists(self, name):
        return name in self.objects

    def listdir(self, path):
        below = [name.removeprefix(f"{path}/") for name in self.objects]
        return [], [name for name in below if "/" not in name]

    def size(self, name):
        return len(self._open(name))

    def url(self, name, expire=3600):
        return f"https://cdn.example/{self.bucket}/{filepath_to_uri(name)}?expires={expire}"


class Renaming(RemoteStorage):
    """Keeps what it is given where it likes."""

    def _save(self, name, content):
        return super()._save(f"elsewhere/{hash(name)}", content)

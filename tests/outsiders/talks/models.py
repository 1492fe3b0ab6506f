"""Models of all kinds, none of which has a site."""

from django.db import models


class AcceptedManager(models.Manager):
    """A manager that migrations know."""

    use_in_migrations = True

    def get_queryset(self):
        return super().get_queryset().filter(accepted=True)


class Tag(models.Model):
    name = models.CharField(max_length=20, unique=True)

    def __str__(self):
        return self.name


class Talk(models.Model):
    title = models.CharField(max_length=50)
    year = models.IntegerField(default=2024)
    accepted = models.BooleanField(default=True)
    tags = models.ManyToManyField(Tag, blank=True)

    objects = models.Manager()
    chosen = AcceptedManager()

    class Meta:
        base_manager_name = "objects"
        default_manager_name = "objects"

    def __str__(self):
        return self.title


class Keynote(Talk):
    fee = models.IntegerField(default=0)


class ShortTalk(Talk):
    class Meta:
        proxy = True


class Link(models.Model):
    talk = models.ForeignKey(Talk, models.CASCADE, related_name="links")
    url = models.CharField(max_length=100)

    def __str__(self):
        return self.url


class Imported(models.Model):
    """Its table is not Django's to make."""

    name = models.CharField(max_length=20)

    class Meta:
        managed = False

    def __str__(self):
        return self.name

"""For Wafer's own tests, which know one conference only: `manage.py test wafer`."""

from conferences.settings import *  # noqa: F403 - all that is not said here

SITE_ID = 1  # the conference that Django's test client asks: it names no host
ROOT_URLCONF = "wafer.urls"
WAFER_TALK_FORM = "wafer.talks.forms.TalkForm"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast

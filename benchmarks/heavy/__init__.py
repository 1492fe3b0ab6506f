"""A heavy project: Wagtail, Django REST framework and what Django brings along."""

#: A page of Wagtail, a flat page, two forms to log in, and a list by the REST framework.
PAGES = ("/", "/terms/", "/admin/login/", "/cms/login/", "/api/pages/")

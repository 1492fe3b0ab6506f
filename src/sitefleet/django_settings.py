"""Which of Django's settings can be per site: what was found in the source of Django 5.2 to 6.1.

A setting can be per site where Django reads it anew at each use, and all of these uses come after
the site is known. `tests/persite/test_settings_django.py` proves it for each of them, and
`docs/follow/settings.md` shows the table.
"""

from __future__ import annotations

from typing import NamedTuple

import django

#: Verdicts: Django reads it at each use; Django keeps what it has read once; it belongs to the
#: process or to the code of the project; another part of sitefleet does it; it is a secret.
PER_SITE, FROZEN, PROCESS = "per site", "frozen", "process"
ELSEWHERE, SECRET = "elsewhere", "secret"


class Row(NamedTuple):
    """What is known of one of Django's settings."""

    verdict: str
    why: str
    """Where Django reads it, if it can be per site; else why it cannot."""
    way: str = ""
    """What to do instead."""
    types: tuple[str, ...] = ()
    """Types that its declaration may have, the usual one first; none: it needs a ``field``."""


_MAIL_LISTS = ("list",) if django.VERSION >= (6, 0) else ()
_PER_SITE: dict[str, tuple[str, tuple[str, ...]]] = {
    "APPEND_SLASH": ("by the middleware, for each request", ("bool",)),
    "CSRF_COOKIE_AGE": ("when the cookie is set", ("int",)),
    "CSRF_FAILURE_VIEW": ("when a request is refused; one of several views", ("choice",)),
    "CSRF_HEADER_NAME": ("when a token is looked for", ("str", "choice")),
    "CSRF_USE_SESSIONS": ("by the middleware, for each request", ("bool",)),
    "DATA_UPLOAD_MAX_MEMORY_SIZE": ("when a body is read", ("int",)),
    "DATA_UPLOAD_MAX_NUMBER_FIELDS": ("when a body is parsed", ("int",)),
    "DATA_UPLOAD_MAX_NUMBER_FILES": ("when a body is parsed", ("int",)),
    "DEFAULT_FROM_EMAIL": ("for each mail", ("email", "str", "choice")),
    "EMAIL_SUBJECT_PREFIX": ("by `mail_admins()` and `mail_managers()`", ("str", "choice")),
    "EMAIL_USE_LOCALTIME": ("for each mail", ("bool",)),
    "LANGUAGE_CODE": ("by SiteLocaleMiddleware and LocaleMiddleware", ("language", "choice")),
    "LANGUAGE_COOKIE_AGE": ("when the cookie is set", ("int",)),
    "LOGIN_REDIRECT_URL": ("at each login", ("str", "url", "choice")),
    "LOGIN_URL": ("by `login_required`, mixin and middleware", ("str", "url", "choice")),
    "LOGOUT_REDIRECT_URL": ("at each logout", ("str", "url", "choice")),
    "MANAGERS": ("by `mail_managers()`; before Django 6.0 pairs, by a `field`", _MAIL_LISTS),
    "MESSAGE_LEVEL": ("by the storage, for each request", ("int", "choice")),
    "MESSAGE_STORAGE": ("by the middleware, for each request; one of several", ("choice",)),
    "PASSWORD_RESET_TIMEOUT": ("when a token is checked", ("int",)),
    "SECURE_CSP": ("by the middleware, for each response", ("json",)),
    "SECURE_CSP_REPORT_ONLY": ("by the middleware, for each response", ("json",)),
    "SERVER_EMAIL": ("by `mail_admins()` and `mail_managers()`", ("email", "str", "choice")),
    "SESSION_COOKIE_AGE": ("when a session is saved", ("int",)),
    "SESSION_EXPIRE_AT_BROWSER_CLOSE": ("when the cookie is set", ("bool",)),
    "SESSION_SAVE_EVERY_REQUEST": ("by the middleware, for each response", ("bool",)),
    "TIME_ZONE": ("by SiteLocaleMiddleware, for each request", ("timezone", "choice")),
    "USE_THOUSAND_SEPARATOR": ("for each number", ("bool",)),
    "X_FRAME_OPTIONS": ("by the middleware, for each response", ("str", "choice")),
}

_OWN_PROCESS = "Set it in settings.py, or give the site a process with settings of its own."
_OTHERS: tuple[tuple[str, str, str, str], ...] = (
    (
        FROZEN,
        """
        DATETIME_FORMAT DATETIME_INPUT_FORMATS DATE_FORMAT DATE_INPUT_FORMATS
        DECIMAL_SEPARATOR FIRST_DAY_OF_WEEK FORMAT_MODULE_PATH MONTH_DAY_FORMAT
        NUMBER_GROUPING SHORT_DATETIME_FORMAT SHORT_DATE_FORMAT THOUSAND_SEPARATOR
        TIME_FORMAT TIME_INPUT_FORMATS YEAR_MONTH_FORMAT
        """,
        "Formats are remembered by language.",
        "Give the site a language variant (LANGUAGE_CODE) with a format module of its own.",
    ),
    (
        FROZEN,
        """
        SECURE_CONTENT_TYPE_NOSNIFF SECURE_CROSS_ORIGIN_OPENER_POLICY
        SECURE_HSTS_INCLUDE_SUBDOMAINS SECURE_HSTS_PRELOAD SECURE_HSTS_SECONDS
        SECURE_REDIRECT_EXEMPT SECURE_REFERRER_POLICY SECURE_SSL_HOST
        SECURE_SSL_REDIRECT
        """,
        "SecurityMiddleware copies it when the server starts.",
        "Set the header in a view or a middleware of your own: Django's leaves it alone then.",
    ),
    (
        FROZEN,
        "CACHE_MIDDLEWARE_SECONDS",
        "The cache middleware, and `cache_page`, copy it when they are made.",
        "Let a view set Cache-Control: max-age, which the cache obeys.",
    ),
    (
        FROZEN,
        """
        AUTH_PASSWORD_VALIDATORS DEFAULT_EXCEPTION_REPORTER_FILTER MESSAGE_TAGS
        PASSWORD_HASHERS SERIALIZATION_MODULES SESSION_FILE_PATH TASKS
        """,
        "What is made of it is made once.",
        _OWN_PROCESS,
    ),
    (FROZEN, "LANGUAGES", "It is remembered as a dictionary.", "Declare LANGUAGE_CODE."),
    (
        FROZEN,
        "LOCALE_PATHS USE_I18N",
        "Translations are loaded once for all sites.",
        "Give the site a language variant (LANGUAGE_CODE) with texts of its own.",
    ),
    (
        FROZEN,
        "FILE_UPLOAD_DIRECTORY_PERMISSIONS FILE_UPLOAD_PERMISSIONS",
        "Storages keep it when they have used it once.",
        "Put it into the OPTIONS of a storage in STORAGES.",
    ),
    (
        FROZEN,
        """
        ABSOLUTE_URL_OVERRIDES AUTH_USER_MODEL DEFAULT_AUTO_FIELD
        DEFAULT_INDEX_TABLESPACE DEFAULT_TABLESPACE FORMS_URLFIELD_ASSUME_HTTPS
        USE_BLANK_CHOICE_DASH
        """,
        "It is built into classes of models and forms when they are imported.",
        _OWN_PROCESS,
    ),
    (
        FROZEN,
        "MIDDLEWARE SESSION_ENGINE",
        "Middleware is put together once, when the server starts.",
        "Let a middleware look at request.site.",
    ),
    (
        PROCESS,
        "ADMINS",
        "Error reports tell the settings of the project, and are for nobody else.",
        "Declare MANAGERS, whom mail_managers() writes to.",
    ),
    (
        PROCESS,
        """
        ASGI_APPLICATION DATABASES DATABASE_ROUTERS DEBUG DEBUG_PROPAGATE_EXCEPTIONS
        DEFAULT_CHARSET FILE_UPLOAD_TEMP_DIR FIXTURE_DIRS GDAL_LIBRARY_PATH GEOIP_CITY
        GEOIP_COUNTRY GEOIP_PATH GEOS_LIBRARY_PATH IGNORABLE_404_URLS INSTALLED_APPS
        INTERNAL_IPS LANGUAGES_BIDI LOGGING LOGGING_CONFIG MIGRATION_MODULES
        POSTGIS_VERSION SESSION_CACHE_ALIAS SETTINGS_MODULE SILENCED_SYSTEM_CHECKS
        SPATIALITE_LIBRARY_PATH TEST_NON_SERIALIZED_APPS TEST_RUNNER URLIZE_ASSUME_HTTPS
        USE_TZ WSGI_APPLICATION
        """,
        "All sites of a process share it.",
        _OWN_PROCESS,
    ),
    (
        PROCESS,
        """
        FILE_UPLOAD_MAX_MEMORY_SIZE SECURE_PROXY_SSL_HEADER USE_X_FORWARDED_HOST
        USE_X_FORWARDED_PORT
        """,
        "It is read before the site is known.",
        _OWN_PROCESS,
    ),
    (
        PROCESS,
        """
        AUTHENTICATION_BACKENDS DEFAULT_EXCEPTION_REPORTER DISALLOWED_USER_AGENTS
        FILE_UPLOAD_HANDLERS SESSION_SERIALIZER
        """,
        "It names or holds code.",
        "Let that code look at the current site.",
    ),
    (ELSEWHERE, "SITE_ID", "It is the id of the current site.", "Read it: it follows already."),
    (ELSEWHERE, "SITEFLEET", "It configures the fleet.", "Edit the site: `manage.py sites`."),
    (
        ELSEWHERE,
        "ALLOWED_HOSTS FORCE_SCRIPT_NAME PREPEND_WWW",
        "The domain, the aliases and the path prefix of a site decide on it.",
        "Edit the site: `manage.py sites rename`, `manage.py sites alias`.",
    ),
    (
        ELSEWHERE,
        "ROOT_URLCONF",
        "A site names its URLconf.",
        "Put the module into URLCONFS and choose it for the site: docs/follow/urls.",
    ),
    (
        ELSEWHERE,
        "FORM_RENDERER STATICFILES_DIRS STATICFILES_FINDERS STATIC_ROOT STATIC_URL TEMPLATES",
        "Templates and static files come from the theme of the site.",
        "Give the site a theme: docs/follow/templates.",
    ),
    (
        ELSEWHERE,
        "MEDIA_ROOT MEDIA_URL STORAGES",
        "The storage keeps the files of each site apart.",
        "Wrap the storage: docs/follow/storage.",
    ),
    (
        ELSEWHERE,
        "CACHES CACHE_MIDDLEWARE_ALIAS CACHE_MIDDLEWARE_KEY_PREFIX",
        "The key function puts the site into each key.",
        "Use the key function: docs/follow/cache.",
    ),
    (
        ELSEWHERE,
        """
        CSRF_COOKIE_DOMAIN CSRF_COOKIE_HTTPONLY CSRF_COOKIE_NAME CSRF_COOKIE_PATH
        CSRF_COOKIE_SAMESITE CSRF_COOKIE_SECURE CSRF_TRUSTED_ORIGINS
        LANGUAGE_COOKIE_DOMAIN LANGUAGE_COOKIE_HTTPONLY LANGUAGE_COOKIE_NAME
        LANGUAGE_COOKIE_PATH LANGUAGE_COOKIE_SAMESITE LANGUAGE_COOKIE_SECURE
        SESSION_COOKIE_DOMAIN SESSION_COOKIE_HTTPONLY SESSION_COOKIE_NAME
        SESSION_COOKIE_PATH SESSION_COOKIE_SAMESITE SESSION_COOKIE_SECURE
        """,
        "Cookies and trusted origins are those of the site's own hosts.",
        "Use HOST_COOKIES and COOKIE_DOMAIN: docs/follow/sessions.",
    ),
    (
        ELSEWHERE,
        "SIGNED_COOKIE_LEGACY_SALT_FALLBACK SIGNING_BACKEND",
        "What is signed on one site is refused on another.",
        "Use the signing backend: docs/follow/signing.",
    ),
    (
        ELSEWHERE,
        """
        EMAIL_BACKEND EMAIL_FILE_PATH EMAIL_HOST EMAIL_HOST_USER EMAIL_PORT
        EMAIL_SSL_CERTFILE EMAIL_TIMEOUT EMAIL_USE_SSL EMAIL_USE_TLS MAILERS
        """,
        "A mail server goes with an account, and that with a password, which is a secret.",
        "Declare DEFAULT_FROM_EMAIL, or choose the account by site: docs/follow/mail.",
    ),
    (
        SECRET,
        "EMAIL_HOST_PASSWORD EMAIL_SSL_KEYFILE SECRET_KEY SECRET_KEY_FALLBACKS",
        "It is a secret.",
        "Keep it in settings.py or in the environment.",
    ),
)

#: Django's settings by name.
TABLE: dict[str, Row] = {
    name: Row(PER_SITE, why, types=types) for name, (why, types) in _PER_SITE.items()
} | {name: Row(verdict, why, way) for verdict, names, why, way in _OTHERS for name in names.split()}

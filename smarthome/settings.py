"""Settings, read strictly from the environment and `.env`; `.env.example` is their manual.

Without any of them this is the embedded house: one process, SQLite in `DATA_DIR`.
A value that cannot be right is an error here, at start, not a surprise at night.
"""

import datetime as dt
import sys
import zoneinfo
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from django.core.exceptions import ImproperlyConfigured

from policies.pki import host_names
from smarthome.first_start import kept_secret, machine_time_zone
from smarthome.processes import SERVERS, database_setting
from smarthome.refusals import has_known_password, weakness_of_key

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
env.read_env(BASE_DIR / ".env", overwrite=False)


def boolean(name: str, *, default: bool) -> bool:
    """`1 0 true false yes no on off`; anything else is a typing mistake and is refused."""
    text = env.str(name, "").strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    if not text:
        return default
    raise ImproperlyConfigured(f"{name} is {text!r}; write 1 or 0")


def listed(name: str, default: list[str]) -> list[str]:
    """A comma separated setting as a list, blanks dropped."""
    return [part.strip() for part in env.str(name, "").split(",") if part.strip()] or default


def count(name: str, default: int) -> int:
    """A whole number above 0; the default may be 0."""
    text = env.str(name, "").strip()
    if text and not (text.isascii() and text.isdigit() and int(text)):
        raise ImproperlyConfigured(f"{name} is {text!r}; write a whole number above 0")
    return int(text or default)


VERSION = "0.1.0"
DEBUG = boolean("DEBUG", default=False)
DATA_DIR = Path(env.str("DATA_DIR", "") or BASE_DIR / "var").resolve()
RUN_DIR = Path(env.str("RUN_DIR", "") or DATA_DIR / "run").resolve()  # sockets of web and live
if env.str("PROMETHEUS_MULTIPROC_DIR", ""):  # where a process counts for all; it must exist
    Path(env.str("PROMETHEUS_MULTIPROC_DIR")).mkdir(mode=0o700, parents=True, exist_ok=True)
SECRET_KEY = env.str("SECRET_KEY", "") or kept_secret(DATA_DIR)
if weakness := weakness_of_key(SECRET_KEY):
    raise ImproperlyConfigured(f"SECRET_KEY {weakness}; leave it out, and the house makes one")
ADMIN_PASSWORD = env.str("ADMIN_PASSWORD", "")  # for the first owner; read only while there is none

# Days after which people's names leave what is kept; 0: never.
FORGET_NAMES_AFTER_DAYS = count("FORGET_NAMES_AFTER_DAYS", 0)

TIME_ZONE = env.str("TIME_ZONE", "") or machine_time_zone()
if TIME_ZONE not in zoneinfo.available_timezones():
    raise ImproperlyConfigured(
        f"TIME_ZONE is {TIME_ZONE!r}; write the building's IANA name, such as Europe/Berlin"
    )
USE_TZ = True
LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = "smarthome.formats"

# What the server's certificate is for; default: what this machine is called, asked every hour.
SERVER_NAMES = listed("SERVER_NAMES", [])
# Django writes IPv6 addresses as URLs do.
OWN_HOSTS = [f"[{name}]" if ":" in name else name for name in SERVER_NAMES or host_names()]
# Devices are `localhost`, whatever they call the house, and so is who looks after it.
ALLOWED_HOSTS = [*listed("ALLOWED_HOSTS", OWN_HOSTS), "localhost", "127.0.0.1", "[::1]"]
ALLOWED_ORIGINS = listed("ALLOWED_ORIGINS", [])
CORS_ALLOWED_ORIGINS = ALLOWED_ORIGINS
CORS_URLS_REGEX = r"^/api/"
CORS_EXPOSE_HEADERS = [
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
]

# Whether this process works for others; a command is the work of who runs it.
SERVES = sys.argv[1:2] != [] and sys.argv[1] in SERVERS

APP_DATABASE_URL = env.str("DATABASE_URL", "")
MAINTENANCE_DATABASE_URL = env.str("MAINTENANCE_DATABASE_URL", "") or APP_DATABASE_URL
# Of this process: who makes the tables works under another role than who fills them.
DATABASE_URL = env.str(database_setting(sys.argv), "") or APP_DATABASE_URL
REDIS_URL = env.str("REDIS_URL", "")
if REDIS_URL and not DATABASE_URL:
    raise ImproperlyConfigured(
        "REDIS_URL needs DATABASE_URL: several processes cannot share one SQLite file well"
    )
EMBEDDED = not REDIS_URL
for name in ("DATABASE_URL", "MIGRATION_DATABASE_URL", "MAINTENANCE_DATABASE_URL"):
    if has_known_password(env.str(name, "")):
        raise ImproperlyConfigured(f"{name} holds a password that anybody would try first")
if DEBUG and not EMBEDDED:
    raise ImproperlyConfigured("DEBUG shows strangers the inner life of a production house")
CACHE_REDIS_URL = env.str("CACHE_REDIS_URL", "") or REDIS_URL
ALLOW_LOSSY_STREAM = boolean("ALLOW_LOSSY_STREAM", default=False)
# Processes and threads of `web`.
WEB_WORKERS, WEB_THREADS = count("WEB_WORKERS", 2), count("WEB_THREADS", 2)

SQLITE: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA_DIR / "house.sqlite3",
    # The threads of `serve` live as long as the process, and so do their connections.
    "CONN_MAX_AGE": None,
    "OPTIONS": {
        # FULL: a commit that was answered survives a power cut, not only a crash.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        # Take the write lock at BEGIN: upgrading a read lock fails at once instead of waiting.
        "transaction_mode": "IMMEDIATE",
        # Seconds. A door gives up after 5.
        "timeout": 4,
    },
}
# `timescale://` makes hypertables where the extension is; `postgres://` never does.
environ.Env.DB_SCHEMES["timescale"] = "smarthome.db.timescale"
environ.Env.POSTGRES_FAMILY.append("timescale")  # so that it takes unix sockets too
# A connection stays; whether it still is one is asked once a request, or the first request of each
# thread after the database was away would fail.
SERVED = {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url_config(DATABASE_URL) | SERVED if DATABASE_URL else SQLITE
}
# The folder of a unix socket comes as libpq wants it: user@%2Frun%2Fpostgresql/name.
DATABASES["default"]["HOST"] = unquote(DATABASES["default"].get("HOST", ""))
if DATABASES["default"]["ENGINE"] != SQLITE["ENGINE"]:
    # Seconds. Without it an address that swallows everything is waited for two minutes.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }
if not EMBEDDED:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": CACHE_REDIS_URL,
            "OPTIONS": {
                "SERIALIZER": "django_redis.serializers.json.JSONSerializer",  # never pickle
                # A door waits: a cache that does not answer at once is not asked twice.
                "SOCKET_CONNECT_TIMEOUT": 0.05,
                "SOCKET_TIMEOUT": 0.05,
                "CONNECTION_POOL_KWARGS": {"retry": None},
            },
        }
    }
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            # Without it an idle socket of the layer is dropped.
            "CONFIG": {"hosts": [{"address": CACHE_REDIS_URL, "socket_timeout": None}]},
        }
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "smarthome.apps.SmarthomeConfig",
    "realtime.apps.RealtimeConfig",
    "access.apps.AccessConfig",
    "sensors.apps.SensorsConfig",
    "django_otp",
    "django_otp.plugins.otp_static",  # both before policies, which keeps them out of the console
    "django_otp.plugins.otp_totp",
    "policies.apps.PoliciesConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "axes",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "smarthome.faces.FaceMiddleware",
    "smarthome.errors.ErrorShapeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "smarthome.headers.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "policies.actor.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "policies.unconfirmed.UnconfirmedChangeMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "smarthome.urls"
WSGI_APPLICATION = "smarthome.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who is locked out is not even tried
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "policies.lockout.Attempts"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = dt.timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or a guesser could lock for ever
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "policies.lockout.address"
AXES_LOCKOUT_CALLABLE = "smarthome.sign_in.locked_out"
# In the log and while it counts: some type their password as their name.
AXES_SENSITIVE_PARAMETERS = ["username", "ticket", "code", "recovery_code"]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
OTP_TOTP_ISSUER = "Smart home"  # what an authenticator app calls us
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = LOGOUT_REDIRECT_URL = "sign-in"
LOGIN_REDIRECT_URL = "dashboard"
ACCESS_TOKEN_AGE = dt.timedelta(minutes=5)
REFRESH_TOKEN_AGE = dt.timedelta(days=30)

# Behind nginx everything is HTTPS; an embedded house on plain HTTP could not keep Secure cookies.
SESSION_COOKIE_SECURE = not EMBEDDED
CSRF_COOKIE_SECURE = not EMBEDDED
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = (
    # The embedded people face is plain HTTP on loopback: no HSTS, no redirect, no Secure cookies.
    ["security.W004", "security.W008", "security.W012", "security.W016"]
    if EMBEDDED
    # nginx sends HSTS, with its own answers too, and there is no plain HTTP to redirect from.
    else ["security.W004", "security.W008"]
)

# Bytes. `serve` and nginx refuse more by Content-Length; this is the wall behind them.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024
MAX_CHECK_BYTES = 2 * 1024
MAX_API_BYTES = 256 * 1024
MAX_BODY_BYTES = DATA_UPLOAD_MAX_MEMORY_SIZE

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "smarthome" / "static"]
# No collectstatic step: the files are served from where they lie.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "policies.authentication.BearerToken",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["policies.roles.IsOwner"],
    "DEFAULT_PARSER_CLASSES": ["smarthome.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "smarthome.parsers.AlwaysJSON",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "smarthome.errors.answer",
    "UNAUTHENTICATED_USER": None,
}
RATE_LIMITS = {
    "check": env.str("RATE_LIMIT_CHECK", "10/s"),
    "ingest": env.str("RATE_LIMIT_INGEST", "10/s"),
    "policies": env.str("RATE_LIMIT_POLICIES", "60/min"),
    "readings": env.str("RATE_LIMIT_READINGS", "30/min"),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Smart home",
    "DESCRIPTION": "Doors, sensors and the people who may pass.",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",  # 3.0 has no word for mutual TLS
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "policies.schema.describe_errors",
    ],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

LOG_LEVEL = env.str("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
    raise ImproperlyConfigured(f"LOG_LEVEL is {LOG_LEVEL!r}; write DEBUG, INFO, WARNING or ERROR")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "smarthome.logs.JsonFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": LOG_LEVEL, "propagate": False},
        # A refused request is the client's concern, and its answer says why.
        "django.request": {"level": "ERROR"},
        "django.security.DisallowedHost": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
        "daphne": {"level": "WARNING"},
    },
}

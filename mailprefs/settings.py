"""Every setting, read and checked once at start; ``docs/settings.md`` lists them for people.

Values come from ``MAILPREFS_*`` in the environment and, below that, from ``settings.env`` in the
data directory, which ``mailprefs init`` writes (mode 600) with the generated keys.
"""

import logging
import os
import tomllib
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import StrEnum
from functools import cache, cached_property
from importlib import metadata
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailprefs import periods, rates
from mailprefs.errors import BadSetting
from mailprefs.policy import MessageClass, TrackingBasis

PREFIX = "MAILPREFS_"
_PACKAGE = Path(__file__).resolve().parent
_NEAR = 0.75
"""How much alike two names are, from 0 to 1, before one is taken for a slip of the other."""
_SHORTEST_TOKEN = 24
_OF_THE_TESTS = f"{PREFIX}TESTS_"
_MAILBOX = r"^([A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4})?$"

log = logging.getLogger(__name__)


class Environment(StrEnum):
    """Where this installation runs; production is the default because it is the strictest."""

    PRODUCTION = "production"
    STAGING = "staging"
    SANDBOX = "sandbox"


class OneClickScope(StrEnum):
    """What one click on unsubscribe ends."""

    ALL = "all"
    TOPIC = "topic"


class Settings(BaseSettings):
    """The checked settings of one installation; seconds for durations, UTC for instants."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Path("mailprefs-data")
    database_url: str = ""
    base_url: str = "http://127.0.0.1:8400"
    environment: Environment = Environment.PRODUCTION
    token_keys: SecretStr = SecretStr("")
    address_key: SecretStr = SecretStr("")
    sendgrid_api_key: SecretStr = SecretStr("")
    sendgrid_read_key: SecretStr = SecretStr("")
    sendgrid_host: str = "https://api.sendgrid.com"
    sendgrid_webhook_key: str = ""
    inbound_mailbox: str = Field(
        default="", pattern=_MAILBOX, examples=["unsubscribe@in.example.com"]
    )
    sendgrid_inbound_key: str = ""
    time_zone: str = "UTC"
    unknown_region_basis: TrackingBasis = TrackingBasis.NOTICE
    one_click_scope: OneClickScope = OneClickScope.ALL
    contact: str = ""
    # Addresses or networks of our own web servers, comma-separated: only they may name a visitor.
    trusted_proxies: str = ""
    # A file of countries (.mmdb) that the operator provides; without one every country is unknown.
    country_db: Path | None = None
    # Addresses and @domains that staging may mail, comma-separated.
    allow_list: str = ""
    undo_delay: float = Field(default=60, ge=0, le=86_400)
    undo_window: float = Field(default=86_400, ge=0, le=30 * 86_400)
    batch_size: int = Field(default=500, ge=1, le=1_000)
    lease: float = Field(default=180, gt=0, le=86_400)
    # After so many seconds without an event, what is unknown is decided about.
    settle_time: float = Field(default=1_800, gt=0, le=7 * 86_400)
    # From the breaker's opening to its first probe; later ones come at growing intervals.
    probe_after: float = Field(default=5, gt=0, le=300)
    # Recipients a second, for all workers together; 0 means no limit of ours.
    send_rate: float = Field(default=0, ge=0)
    # Recipients in longer times, such as "1000/hour, 20000/day": of everything, and of one class.
    send_limits: str = ""
    promotional_limits: str = ""
    administrative_limits: str = ""
    # The most recipients of a new From domain's first day, second day and so on.
    ramp: str = ""
    # How late a schedule may be found before a person decides about it.
    missed_grace: float = Field(default=3_600, ge=60, le=30 * 86_400)
    # People behind every number about opens, at least (k).
    least_people: int = Field(default=20, ge=10, le=1_000)
    sending_threads: int = Field(default=2, ge=1, le=64)
    connect_timeout: float = Field(default=10, gt=0, le=300)
    read_timeout: float = Field(default=60, gt=0, le=600)
    # What is kept for another time than usual, such as "vendor_events: 3 days".
    retention: str = ""
    # A file to which the ledger's signed head is appended each night; none: the log alone has it.
    ledger_heads: Path | None = None
    # Who is told of alarms beside the staff pages; the URL may hold a secret of its receiver.
    alarm_url: SecretStr = SecretStr("")
    alarm_mail: str = ""
    # Without one, /metrics doesn't exist.
    metrics_token: SecretStr = SecretStr("")

    @field_validator("base_url", "sendgrid_host")
    @classmethod
    def _plain_origin(cls, value: str) -> str:
        """Refuse anything but scheme and host, and take a last slash off."""
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = "must be a full address such as https://mail.example.com"
            raise ValueError(msg)
        if parts.path.strip("/") or parts.query or parts.fragment or parts.username:
            msg = "must be scheme, host and port only, without a query or a user name"
            raise ValueError(msg)
        return value.rstrip("/")

    @field_validator("country_db", "ledger_heads", mode="before")
    @classmethod
    def _named_or_none(cls, value: object) -> object:
        """Take an empty text for none: the folder that it would name is no file."""
        return value or None

    @field_validator("alarm_url")
    @classmethod
    def _reachable(cls, value: SecretStr) -> SecretStr:
        """Refuse what is no address of a web server."""
        parts = urlsplit(value.get_secret_value())
        if value.get_secret_value() and (
            parts.scheme not in {"http", "https"} or not parts.hostname or parts.username
        ):
            msg = "must be a full address such as https://alerts.example.com/hook"
            raise ValueError(msg)
        return value

    @field_validator("alarm_mail")
    @classmethod
    def _addresses(cls, value: str) -> str:
        """Refuse what can't be an address or several."""
        if value and any(part.strip().count("@") != 1 for part in value.split(",")):
            msg = "must be an address such as ops@example.com, or several, comma-separated"
            raise ValueError(msg)
        return value

    @field_validator("metrics_token")
    @classmethod
    def _not_guessed(cls, value: SecretStr) -> SecretStr:
        """Refuse a token that somebody could try out."""
        if value.get_secret_value() and len(value.get_secret_value()) < _SHORTEST_TOKEN:
            msg = f"must have at least {_SHORTEST_TOKEN} characters; make one: openssl rand -hex 32"
            raise ValueError(msg)
        return value

    @field_validator("send_limits", "promotional_limits", "administrative_limits")
    @classmethod
    def _rates(cls, value: str) -> str:
        """Refuse what limits nothing that can be counted."""
        rates.read(value)
        return value

    @field_validator("ramp")
    @classmethod
    def _days(cls, value: str) -> str:
        """Refuse what is no plan of days."""
        rates.read_ramp(value)
        return value

    @field_validator("retention")
    @classmethod
    def _periods(cls, value: str) -> str:
        """Refuse what is no period of a rule."""
        periods.read(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        """Refuse what is neither an IP address nor a network."""
        try:
            for part in filter(None, (part.strip() for part in value.split(","))):
                ip_network(part, strict=False)
        except ValueError as error:
            msg = "must be IP addresses or networks such as 10.0.0.0/8, comma-separated"
            raise ValueError(msg) from error
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        """Refuse a zone that the IANA database doesn't hold."""
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            msg = "must be an IANA zone such as Europe/Berlin"
            raise ValueError(msg) from error
        return value

    @model_validator(mode="after")
    def _no_real_mail_from_a_sandbox(self) -> "Settings":
        """Refuse the sandbox environment with a vendor host that is not this machine."""
        if self.environment is Environment.SANDBOX and not is_loopback(self.sendgrid_host):
            msg = (
                "MAILPREFS_ENVIRONMENT is sandbox, so MAILPREFS_SENDGRID_HOST must be on this "
                "machine (http://127.0.0.1:PORT); nothing real is sent from a sandbox"
            )
            raise ValueError(msg)
        if self.connect_timeout + self.read_timeout >= self.lease:
            msg = (
                "MAILPREFS_LEASE must be longer than MAILPREFS_CONNECT_TIMEOUT and "
                "MAILPREFS_READ_TIMEOUT together, or a call that is still running would be taken "
                "for lost"
            )
            raise ValueError(msg)
        return self

    @cached_property
    def database(self) -> str:
        """Give the database's URL: the one set, else SQLite in the data directory."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'mailprefs.db'}"

    @cached_property
    def limits(self) -> rates.Limits:
        """Give everything that limits how many recipients go."""
        everything = rates.read(self.send_limits)
        a_second = [one for one in (self.send_rate, everything.second) if one]
        promotional = rates.read(self.promotional_limits)
        administrative = rates.read(self.administrative_limits)
        return rates.Limits(
            everything=everything._replace(second=min(a_second, default=0.0)),
            classes={
                MessageClass.PROMOTIONAL: promotional,
                MessageClass.ADMINISTRATIVE: administrative,
            },
            ramp=rates.read_ramp(self.ramp),
            zone=self.time_zone,
        )

    @cached_property
    def may_mail(self) -> Callable[[str], bool] | None:
        """Give what tells whether an address may be mailed from here; None: every address may.

        Staging mails its allow-list only: nobody else ever hears from a copy of the real thing.
        """
        if self.environment is not Environment.STAGING:
            return None
        listed = frozenset(
            filter(None, (one.strip() for one in self.allow_list.lower().split(",")))
        )

        def on_the_list(address: str) -> bool:
            lowered = address.lower()
            return lowered in listed or lowered[lowered.rfind("@") :] in listed

        return on_the_list

    @cached_property
    def spool_dir(self) -> Path:
        """Give the directory of the pixel's spool."""
        return self.data_dir / "spool"


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def load(**overrides: object) -> Settings:
    """Read the settings; *overrides* win over the environment, which wins over ``settings.env``.

    A name that is no setting is refused in ``settings.env``, where only we write and a typing error
    would go unseen; in the environment, where others put names too, it is only told, once.

    :raises BadSetting: with one sentence a bad value, naming the variable, never the value.
    """
    named = overrides.get("data_dir") or os.environ.get(f"{PREFIX}DATA_DIR")
    file = Path(str(named or "mailprefs-data")) / "settings.env"
    if strange := _strange(_names(file)):
        raise BadSetting(f"{file} holds {strange}")
    if strange := _strange(os.environ):
        _tell(f"The environment holds {strange}")
    try:
        return Settings(_env_file=file, **overrides)  # type: ignore[arg-type]  # pydantic checks the values at run time
    except ValidationError as error:
        raise BadSetting(_sentences(error)) from None


@cache
def _tell(sentence: str) -> None:
    """Warn once a process, however often the settings are read."""
    log.warning(sentence)


def _names(file: Path) -> list[str]:
    """Give the names that a settings file sets; none where there is no file."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    named = (line.partition("=")[0].strip().removeprefix("export ") for line in lines)
    return [name.strip() for name in named if name and not name.startswith("#")]


def _strange(names: Iterable[str]) -> str:
    """Say which names look like settings and are none, with the nearest one that is; else ""."""
    known = sorted(f"{PREFIX}{name.upper()}" for name in Settings.model_fields)
    found = []
    for name in sorted(names):
        upper = name.upper()
        is_ours = upper.startswith(PREFIX) and not upper.startswith(_OF_THE_TESTS)
        if is_ours and upper not in known:
            near = get_close_matches(upper, known, n=1, cutoff=_NEAR)
            found.append(f"{name} (did you mean {near[0]}?)" if near else name)
    if not found:
        return ""
    what = "is no setting and changes" if len(found) == 1 else "are no settings and change"
    return f"{', '.join(found)}, which {what} nothing; docs/settings.md lists those there are."


def _sentences(error: ValidationError) -> str:
    """Say which settings are wrong, without repeating a value, which may be a secret."""
    lines = []
    for problem in error.errors():
        name = "_".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        if name in Settings.model_fields and problem["type"] != "value_error":
            text = _expected(name)
        lines.append(f"{PREFIX}{name.upper()}: {text}." if name else f"{text}.")
    return " ".join(lines)


def _expected(name: str) -> str:
    """Say what one setting takes, with an example."""
    field = Settings.model_fields[name]
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        *words, last = [word.value for word in kind]
        return f"must be {', '.join(words)} or {last}"
    if kind not in {int, float}:
        return f"must be plain, such as {field.examples[0]}" if field.examples else "must be a text"
    example = field.default or 100
    return (
        f"must be {'a whole number' if kind is int else 'a number'}{_bounds(field.metadata)}, "
        f"such as {example:g}"
    )


def _bounds(rules: Iterable[object]) -> str:
    """Say between which numbers a setting is."""
    words = {"ge": "from", "gt": "more than", "le": "to", "lt": "less than"}
    bounds = [
        f" {word} {getattr(rule, sign):,}"
        for rule in rules
        for sign, word in words.items()
        if getattr(rule, sign, None) is not None
    ]
    if len(bounds) == 1:
        return bounds[0].replace(" from ", " of at least ")
    return (
        "".join(bounds).replace(" to ", ", at most ") if " more" in bounds[0] else "".join(bounds)
    )


def templates_dir() -> Path:
    """Give the folder of templates: beside the package in a checkout, inside it in a wheel."""
    return _beside("templates")


def migrations_dir() -> Path:
    """Give the folder of migrations: beside the package in a checkout, inside it in a wheel."""
    return _beside("migrations")


def version() -> str:
    """Give the version of this program: a checkout says it itself, a wheel by its metadata."""
    checkout = _PACKAGE.parent / "pyproject.toml"
    if checkout.is_file():
        found: str = tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"]
        return found
    return metadata.version("mailprefs")


def _beside(name: str) -> Path:
    inside = _PACKAGE / f"_{name}"
    return inside if inside.is_dir() else _PACKAGE.parent / name

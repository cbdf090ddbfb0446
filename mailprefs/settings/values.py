"""The settings of one installation, each with its default and what it may be."""

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailprefs import periods, rates
from mailprefs.policy import MessageClass, TrackingBasis

PREFIX = "MAILPREFS_"
_SHORTEST_TOKEN = 24
_MAILBOX = r"^([A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){1,4})?$"


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
    # So many days before a material policy version takes effect its notice has to begin.
    policy_notice_days: int = Field(default=14, ge=1, le=365)
    # People behind every number about opens, at least (k).
    least_people: int = Field(default=20, ge=10, le=1_000)
    sending_threads: int = Field(default=2, ge=1, le=64)
    connect_timeout: float = Field(default=10, gt=0, le=300)
    read_timeout: float = Field(default=60, gt=0, le=600)
    # What is kept for another time than usual, such as "vendor_events: 3 days".
    retention: str = ""
    # A file to which the ledger's signed head is appended each night; none: the log alone has it.
    ledger_heads: Path | None = None
    # Where refusals are kept outside the database; none: in the data directory.
    journal: Path | None = None
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

    @field_validator("country_db", "ledger_heads", "journal", mode="before")
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
    def journal_file(self) -> Path:
        """Give the file of the journal of refusals."""
        return self.journal or self.data_dir / "refusals.jsonl"

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

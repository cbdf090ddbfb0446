"""All checks, one after the other: what one of them stumbles over is told, and the next goes on."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailprefs import links, machine
from mailprefs.alarms import facts, keeping
from mailprefs.db.database import Database
from mailprefs.db.dialects import database_time
from mailprefs.doctor import account, house, keys, measuring, reach
from mailprefs.doctor.findings import Finding, Level, ok, warning, wrong
from mailprefs.errors import BadSetting, StoreUnavailable
from mailprefs.schema.people import Sender, Topic
from mailprefs.settings import Settings
from mailprefs.vendor.account import Account

_BROKE_OFF: Final = "Tell us, with this line; the other checks don't hang on it."


def examine(settings: Settings, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Check the whole installation and give each finding as it is found; nothing is changed."""
    yield from _guarded("Keys", lambda: keys.of_settings(settings))
    visit = _Visit(settings, clock)
    try:
        for area, check in visit.checks:
            yield from _guarded(area, check)
    finally:
        visit.close()


class _Visit:
    """One examination: what a check has found out, a later one knows."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._db: Database | None = None
        self._positions: dict[bytes, int] = {}
        self._senders: list[tuple[str, str]] = []
        self._clocks: list[tuple[str, datetime]] = []
        self.checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
            ("Database", self._database),
            ("Database", self._stored),
            ("Base URL", self._addresses),
            ("Vendor", self._account),
            ("Clock", self._clock_of_others),
            ("Disk", self._machine),
        )

    def close(self) -> None:
        """Close what was opened."""
        if self._db is not None:
            self._db.close()

    def _database(self) -> Iterator[Finding]:
        file = machine.database_file(self._settings)
        if file is not None and not file.exists():
            yield wrong("Database", "There is none yet.", "mailprefs init")
            return
        db = Database(self._settings.database)
        found = list(house.of_database(db, self._settings))
        yield from found
        if all(one.level is not Level.WRONG for one in found):
            self._db = db
        else:
            db.close()

    def _stored(self) -> Iterator[Finding]:
        """Check what hangs on the database, and learn what later checks need."""
        if self._db is None:
            return
        with self._db.reading() as session:
            self._positions = facts.positions(session)
            self._senders = _senders(session)
            self._clocks.append(("the database", database_time(session)))
            yield keys.of_stored(session, self._settings)
            yield house.of_workers(session, database_time(session))
            yield house.of_instance(session, self._settings)
            yield house.of_sending(session)
            yield _alarms(session)

    def _addresses(self) -> Iterator[Finding]:
        token_keys = links.parse_keys(self._settings.token_keys.get_secret_value())
        others = [base_url for _, base_url in self._senders]
        return reach.of_addresses(self._settings, token_keys, others)

    def _account(self) -> Iterator[Finding]:
        settings = self._settings
        read, send = settings.sendgrid_read_key, settings.sendgrid_api_key
        key = read.get_secret_value() or send.get_secret_value()
        if not key:
            return
        asked = Account(key, settings.sendgrid_host)
        try:
            senders = [address for address, _ in self._senders]
            yield from account.of_account(asked, self._settings, senders)
        finally:
            asked.close()
        if asked.date is not None:
            self._clocks.append(("the vendor", asked.date))

    def _clock_of_others(self) -> Iterator[Finding]:
        return account.of_clocks(self._clock(), self._clocks)

    def _machine(self) -> Iterator[Finding]:
        seen = machine.look(self._settings, self._positions)
        yield from house.of_disks(seen.disks)
        yield house.of_spool(seen.spool, self._clock())
        yield from measuring.of_measuring(self._settings, self._clock())


def _senders(session: Session) -> list[tuple[str, str]]:
    """List From address and base URL of the senders that topics use."""
    used = select(Topic.sender_id)
    rows = session.execute(
        select(Sender.from_address, Sender.base_url).where(Sender.id.in_(used)).distinct()
    )
    return [(row.from_address, row.base_url) for row in rows]


def _alarms(session: Session) -> Finding:
    count = len(keeping.open_now(session))
    if not count:
        return ok("Alarms", "None is open.")
    said = "1 is open." if count == 1 else f"{count} are open."
    return warning("Alarms", said, "See them: mailprefs alarms")


def _guarded(area: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Give what a check finds; one that breaks off is a finding of its own."""
    try:
        yield from check()
    except BadSetting as error:
        yield wrong(area, str(error), "Mend the setting.")
    except StoreUnavailable as error:
        yield wrong(area, str(error), "Look at the database.")
    except Exception as error:  # noqa: BLE001 - told by its class only: the text may hold anything
        yield wrong(area, f"This check broke off ({type(error).__name__}).", _BROKE_OFF)

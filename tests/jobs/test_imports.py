"""Importing a file, on both databases: exact counts, and no yes of a no.

The counts expected of ``GOLDEN`` were counted by hand, line by line.
"""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailprefs import audit, consent, preferences
from mailprefs.addresses import normalise
from mailprefs.audit import CONSOLE, Actor
from mailprefs.consent.wordings import wording_text
from mailprefs.db.database import Database, Gate
from mailprefs.errors import BadFile, BadInput, Conflict, NotFound
from mailprefs.jobs.imports.order import ImportOrder
from mailprefs.jobs.imports.run import ImportResult, Progress, run
from mailprefs.policy import (
    AddressOrigin,
    Choice,
    MessageClass,
    Scope,
    Source,
    SubscriptionState,
    SuppressionReason,
)
from mailprefs.preferences.rebuilding import differences
from mailprefs.schema.choices import ConsentEntry, Suppression
from mailprefs.schema.imports import Import, ImportedAs, ImportRefusal
from mailprefs.schema.people import Attribute, Recipient, Subscription
from tests.factories import (
    BEGINNING,
    HASHER,
    make_policy,
    make_recipient,
    make_staff,
    make_topic,
    stored,
    subscribe,
)
from tests.preferences.people import ONE_CLICK, PAGE

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
SAID = "Box on the order form, not ticked beforehand"

# Each line, and what becomes of it: the reasons stand in the order of the lines.
GOLDEN = [
    (b"E-Mail-Adresse;Vorname;Nachname;Land;Tarif;Notiz", "header"),
    (b"alice@example.com;Alice;Adams;GB;pro;", "added"),
    (b"BOB@Example.COM;Bob;Brown;Deutschland;free;", "added"),
    (b"carol@example.com;Carol;New;;pro;", "updated: another last name"),
    (b"dave@example.com;Dave;;;;", "unchanged: an empty cell erases nothing"),
    (b"erin@example.com;Erin;;;;", "kept out: unsubscribed from this topic"),
    (b"frank@example.com;;;;;", "kept out: complained"),
    (b"grace@example.com;;;;;", "kept out: hard bounce"),
    (b"heidi@example.com;;;;;", "kept out: invalid"),
    (b"Ivan@example.com;;;;;", "kept out: erased, and not made again"),
    (b"judy@example.com;;;;;", "updated: known, never asked about this topic"),
    (b"ken@example.com;;;;;", "updated: signed up, never confirmed"),
    (b"lena@example.com;;;;;", "kept out: unsubscribed from everything"),
    (b"bob@example.com;Bobby;;;;", "duplicate of line 3, in other letters"),
    (b"alice+news@example.com;Alice;;;;", "added: another mailbox"),
    (b"", "blank"),
    (b'mallory@example.com;"Mallory;Moss;FR;;', "refused: unclosed quotation mark"),
    (b'nina@example.com;"Ni""na";"North; jun.";FR;"two', "added, with the next line"),
    (b'lines";x', "the end of the record above"),
    ("olaf@exam\u200bple.com;Olaf;;;;".encode(), "refused: invisible character"),
    (b"peggy@example.com;Peg\0gy;;;;", "refused: NUL"),
    (b"quinn@example.com;Qu\xefnn;;;;", "refused: wrong bytes"),
    (b"rupert@example.com;R;S;T", "refused: four fields"),
    (b"sybil@example.com;Sybil;;Narnia;;", "refused: no country"),
    (b"trent@example.com;" + b"x" * 40_000 + b";;;;", "refused: oversized field"),
    (b"victor@example;Victor;;;;", "refused: no full domain"),
    (b";;;;;", "refused: no address"),
    ("walter@bücher.example;Walter;Wäß;AT;;".encode(), "added: IDN"),
    (b"walter@xn--bcher-kva.example;;;;;", "duplicate: the same, in the other form"),
    (b"sybil@example.com;Sybil;;SE;;", "added: the good line of one refused above"),
]
ROWS = 27
ADDED, UPDATED, UNCHANGED, DUPLICATE, REFUSED = 6, 3, 1, 2, 9
KEPT_OUT = {"unsubscribed": 2, "complained": 1, "hard_bounce": 1, "invalid": 1, "erased": 1}
COUNTS = {
    "rows": ROWS,
    "added": ADDED,
    "updated": UPDATED,
    "unchanged": UNCHANGED,
    "duplicate_in_file": DUPLICATE,
    "kept_out": dict(sorted(KEPT_OUT.items())),
    "refused": REFUSED,
}
REFUSED_LINES = {
    17: None,
    20: "email",
    21: "first_name",
    22: "first_name",
    23: None,
    24: "region",
    25: "first_name",
    26: "email",
    27: "email",
}


def write(folder: Path, *lines: bytes, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_bytes(b"\r\n".join(lines) + b"\r\n")
    return path


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return write(tmp_path, b"\xef\xbb\xbf" + GOLDEN[0][0], *(line for line, _ in GOLDEN[1:]))


@pytest.fixture
def people(db: Database) -> dict[str, int]:
    """Everybody whom the golden file meets, by name."""
    with db.transaction() as session:
        make_policy(session)
        news = make_topic(session, "news")
        other = make_topic(session, "other")
        make_topic(session, "notices", MessageClass.ADMINISTRATIVE)
        known: dict[str, Recipient] = {}
        for name in ("carol", "dave", "erin", "frank", "judy", "lena"):
            known[name] = make_recipient(
                session, f"{name}@example.com", first_name=name.title(), last_name="Old"
            )
        known["ken"] = make_recipient(
            session, "ken@example.com", address_origin=AddressOrigin.UNCONFIRMED
        )
        for name in ("carol", "dave", "frank", "lena"):
            subscribe(session, known[name], news)
        subscribe(session, known["erin"], news, SubscriptionState.UNSUBSCRIBED, source=Source.PAGE)
        subscribe(session, known["judy"], other)
        subscribe(session, known["ken"], news, SubscriptionState.PENDING, source=Source.PAGE)
        for name, reason in {
            "frank": SuppressionReason.COMPLAINED,
            "grace": SuppressionReason.HARD_BOUNCE,
            "heidi": SuppressionReason.INVALID,
            "ivan": SuppressionReason.ERASED,
            "lena": SuppressionReason.UNSUBSCRIBED,
        }.items():
            suppress(session, f"{name}@example.com", reason)
    return {name: person.id for name, person in known.items()}


def suppress(session: Session, address: str, reason: SuppressionReason) -> None:
    stored(
        session,
        Suppression(
            address_hash=HASHER.hash(normalise(address).key),
            address_key_id=HASHER.key_id,
            scope=reason.scope,
            reason=reason,
            source=Source.PAGE,
            created_at=BEGINNING,
        ),
    )


def bring(
    db: Database,
    path: Path,
    *,
    actor: Actor = CONSOLE,
    now: datetime = NOW,
    **order: Any,  # noqa: ANN401 - fields of an order
) -> ImportResult:
    words: dict[str, Any] = {"topic": "news", "source": SAID} | order
    return run(db, path, ImportOrder(**words), hasher=HASHER, actor=actor, clock=lambda: now)


def snapshot(db: Database) -> dict[str, list[Any]]:
    """Give all that an import may change of people: recipients, choices, suppressions, ledger."""
    with db.reading() as session:
        return {
            "recipients": [
                (r.address, r.first_name, r.last_name, r.region, r.attributes, r.address_origin)
                for r in session.scalars(select(Recipient).order_by(Recipient.address))
            ],
            "subscriptions": sorted(
                (address, topic_id, state.value)
                for address, topic_id, state in session.execute(
                    select(Recipient.address, Subscription.topic_id, Subscription.state).join(
                        Recipient, Recipient.id == Subscription.recipient_id
                    )
                )
            ),
            "suppressions": sorted(
                (bytes(row.address_hash), row.reason.value, row.scope.value)
                for row in session.scalars(select(Suppression))
            ),
            "ledger": [
                (address, entry.entry.topic_id, entry.entry.old, entry.entry.new)
                for number, address in session.execute(
                    select(Recipient.id, Recipient.address).order_by(Recipient.id)
                )
                for entry in consent.history(session, number)
            ],
        }


def states(db: Database) -> dict[str, str]:
    with db.reading() as session:
        found = session.execute(
            select(Recipient.address, Subscription.state)
            .join(Subscription, Subscription.recipient_id == Recipient.id)
            .where(Subscription.topic_id == 1)
        )
        return {address.partition("@")[0]: state.value for address, state in found}


@pytest.mark.usefixtures("people")
def test_every_row_of_the_golden_file_is_counted_once_and_rightly(
    db: Database, golden: Path
) -> None:
    result = bring(db, golden, mapping={"Tarif": "plan"})

    assert result.counts.document() == COUNTS
    assert {one.line: one.field for one in result.refusals} == REFUSED_LINES
    assert (result.encoding, result.delimiter) == ("UTF-8", "semicolon")
    assert result.columns == {
        "E-Mail-Adresse": "email",
        "Vorname": "first_name",
        "Nachname": "last_name",
        "Land": "region",
        "Tarif": "plan",
    }
    assert result.left_out == ("Notiz",)


@pytest.mark.usefixtures("people")
def test_no_yes_is_made_of_a_no(db: Database, golden: Path) -> None:
    bring(db, golden)

    assert states(db) == {
        "alice": "subscribed",
        "BOB": "subscribed",
        "alice+news": "subscribed",
        "nina": "subscribed",
        "walter": "subscribed",
        "sybil": "subscribed",
        "carol": "subscribed",
        "dave": "subscribed",
        "judy": "subscribed",
        "ken": "subscribed",
        # As they were: a suppression stays, and an unsubscription too.
        "erin": "unsubscribed",
        "frank": "subscribed",
        "lena": "subscribed",
    }
    with db.reading() as session:
        reasons = sorted(session.scalars(select(Suppression.reason)))
        assert reasons == ["complained", "erased", "hard_bounce", "invalid", "unsubscribed"]
        assert session.scalar(select(func.count()).select_from(Recipient)) == 7 + ADDED


@pytest.mark.usefixtures("people")
def test_people_come_in_as_the_file_says(db: Database, golden: Path) -> None:
    bring(db, golden, mapping={"Tarif": "plan", "Notiz": "note"})

    with db.reading() as session:
        found = {
            person.address: person
            for person in session.scalars(select(Recipient).where(Recipient.created_at == NOW))
        }
        bob, nina = found["BOB@example.com"], found["nina@example.com"]
        assert (bob.first_name, bob.last_name, bob.region) == ("Bob", "Brown", "DE")
        assert bob.attributes == {"plan": "free"}
        assert bob.address_origin is AddressOrigin.IMPORTED
        assert bob.open_tracking is Choice.UNKNOWN
        assert (nina.first_name, nina.last_name) == ('Ni"na', "North; jun.")
        assert nina.attributes == {"plan": "two\r\nlines", "note": "x"}
        assert found["walter@xn--bcher-kva.example"].last_name == "Wäß"
        labels = {one.name: one.label for one in session.scalars(select(Attribute))}
        assert labels == {"plan": "Tarif", "note": "Notiz"}


def test_what_is_known_of_people_is_updated_and_never_erased(
    db: Database, people: dict[str, int], golden: Path
) -> None:
    bring(db, golden, mapping={"Tarif": "plan"})

    with db.reading() as session:
        carol = session.get_one(Recipient, people["carol"])
        dave = session.get_one(Recipient, people["dave"])
        ken = session.get_one(Recipient, people["ken"])
        assert (carol.first_name, carol.last_name, carol.attributes) == (
            "Carol",
            "New",
            {"plan": "pro"},
        )
        assert (dave.first_name, dave.last_name, dave.attributes) == ("Dave", "Old", {})
        # Staff vouch for the address as they do for a new one.
        assert ken.address_origin is AddressOrigin.IMPORTED


def test_every_new_yes_stands_in_the_ledger_with_its_proof(
    db: Database, people: dict[str, int], golden: Path
) -> None:
    with db.transaction() as session:
        staff = make_staff(session).id

    result = bring(db, golden, actor=Actor(staff, "console"))

    with db.reading() as session:
        assert consent.verify(session) == ADDED + 2
        (judy,) = consent.history(session, people["judy"])
        (ken,) = consent.history(session, people["ken"])
        assert consent.history(session, people["carol"]) == []
        entry = judy.entry
        assert (entry.purpose, entry.topic_id, entry.old, entry.new) == (
            "promotional_email",
            1,
            None,
            "subscribed",
        )
        assert (ken.entry.old, ken.entry.new) == ("pending", "subscribed")
        assert (entry.source, entry.source_ref) == (Source.IMPORT, f"import:{result.import_id}")
        assert (entry.actor, entry.method, entry.occurred_at) == (f"staff:{staff}", "file", NOW)
        assert entry.policy_version_id == 1
        assert entry.wording is not None
        assert wording_text(session, entry.wording.id) == SAID


@pytest.mark.usefixtures("people")
def test_a_run_is_on_record_with_its_counts_its_refusals_and_who_ran_it(
    db: Database, golden: Path
) -> None:
    result = bring(db, golden)

    with db.reading() as session:
        row = session.get_one(Import, result.import_id)
        assert (row.rows_done, row.counts, row.finished_at) == (ROWS, COUNTS, NOW)
        assert (row.source, row.imported_as) == (SAID, ImportedAs.SUBSCRIBED)
        refusals = session.scalars(select(ImportRefusal).order_by(ImportRefusal.line)).all()
        assert {one.line: one.field for one in refusals} == REFUSED_LINES
        shown = " ".join(one.reason for one in refusals)
        assert not any(part in shown for part in ("mallory", "olaf", "quinn", "Narnia", "victor"))
        done = [entry.action for entry in audit.of(session, ("import", row.id))]
        assert done == ["import.started", "import.finished"]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("imported_as", ImportedAs)
def test_a_dry_run_tells_the_exact_counts_and_writes_nothing(
    db: Database, golden: Path, imported_as: ImportedAs
) -> None:
    before = _everything(db)

    told = bring(db, golden, imported_as=imported_as, dry_run=True)

    assert _everything(db) == before
    assert told.import_id is None
    done = bring(db, golden, imported_as=imported_as)
    assert told.counts == done.counts
    assert told.refusals == done.refusals


def test_a_dry_run_leaves_the_bytes_of_a_database_file_as_they_are(
    sqlite_url: str, golden: Path
) -> None:
    db = Database(sqlite_url)
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "news")
    db.checkpoint()
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    log = file.with_name(f"{file.name}-wal")
    before = sha256(file.read_bytes() + log.read_bytes()).digest()

    bring(db, golden, dry_run=True)

    assert sha256(file.read_bytes() + log.read_bytes()).digest() == before
    db.close()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("imported_as", ImportedAs)
def test_a_second_run_of_the_same_file_changes_nobody(
    db: Database, golden: Path, imported_as: ImportedAs
) -> None:
    first = bring(db, golden, imported_as=imported_as).counts
    before = snapshot(db)

    again = bring(db, golden, imported_as=imported_as, now=NOW + timedelta(days=1)).counts

    assert snapshot(db) == before
    assert (again.added, again.updated) == (0, 0)
    assert again.unchanged == first.added + first.updated + first.unchanged
    assert again.kept_out == first.kept_out
    with db.reading() as session:
        consent.verify(session)


@pytest.mark.usefixtures("people")
def test_unsubscriptions_of_a_former_system_end_all_promotional_mail(
    db: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        b"email,first_name",
        b"carol@example.com,Caroline",  # subscribed here: a no goes before a yes
        b"erin@example.com,",  # left this topic before
        b"frank@example.com,",  # complained before
        b"ivan@example.com,",  # erased
        b"lena@example.com,",  # left everything, subscribed to the topic on paper
        b"new@example.com,Newton",
        b"NEW@example.com,Newton",
    )

    counts = bring(db, path, imported_as=ImportedAs.UNSUBSCRIBED).counts

    assert counts.document() == {
        "rows": 7,
        "added": 1,
        "updated": 4,
        "unchanged": 0,
        "duplicate_in_file": 1,
        "kept_out": {"erased": 1},
        "refused": 0,
    }
    after = states(db)
    for name in ("carol", "erin", "frank", "lena", "new"):
        assert after[name] == "unsubscribed"
        assert "unsubscribed" in _reasons(db, f"{name}@example.com")
    assert _reasons(db, "ivan@example.com") == {"erased"}
    entries = snapshot(db)["ledger"]
    assert ("carol@example.com", 1, "subscribed", "unsubscribed") in entries
    assert ("carol@example.com", None, None, "withdrawn") in entries
    assert ("new@example.com", 1, None, "unsubscribed") in entries
    assert ("new@example.com", None, None, "withdrawn") in entries
    # On file as unsubscribed from everything before; the topic's own state is new.
    assert ("lena@example.com", None, None, "withdrawn") not in entries
    assert ("lena@example.com", 1, "subscribed", "unsubscribed") in entries


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("imported_as", "reason", "scope"),
    [
        (ImportedAs.BOUNCED, "hard_bounce", Scope.ALL),
        (ImportedAs.COMPLAINED, "complained", Scope.PROMOTIONAL),
    ],
)
def test_bounces_and_complaints_of_a_former_system_are_kept_as_hashes_only(
    db: Database, tmp_path: Path, imported_as: ImportedAs, reason: str, scope: Scope
) -> None:
    path = write(tmp_path, b"email", b"carol@example.com", b"new@example.com", b"ivan@example.com")

    counts = bring(db, path, imported_as=imported_as).counts

    assert (counts.added, counts.updated, counts.kept_out) == (1, 1, {"erased": 1})
    for address in ("carol@example.com", "new@example.com"):
        assert _reasons(db, address) == {reason}
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Recipient)) == 7
        added = session.scalars(
            select(Suppression.scope).where(Suppression.created_at == NOW)
        ).all()
        assert added == [scope, scope]


@pytest.mark.usefixtures("people")
def test_whoever_a_former_system_lost_is_kept_out_of_the_next_import(
    db: Database, tmp_path: Path
) -> None:
    gone = write(tmp_path, b"email", b"x@example.com", b"y@example.com", name="gone.csv")
    bring(db, gone, imported_as=ImportedAs.UNSUBSCRIBED)

    counts = bring(db, write(tmp_path, b"email", b"X@example.com", b"z@example.com")).counts

    assert (counts.added, counts.kept_out) == (1, {"unsubscribed": 1})


@pytest.mark.parametrize("first", [ImportedAs.SUBSCRIBED, ImportedAs.UNSUBSCRIBED])
def test_what_imports_write_is_what_the_ledger_says(
    db: Database, tmp_path: Path, first: ImportedAs
) -> None:
    with db.transaction() as session:
        make_policy(session)
        make_topic(session, "news")
    everybody = write(tmp_path, b"email", *(b"p%d@example.com" % n for n in range(20)))
    some = write(tmp_path, b"email", *(b"p%d@example.com" % n for n in range(8)), name="some.csv")

    bring(db, everybody, imported_as=first)
    bring(db, some, imported_as=ImportedAs.UNSUBSCRIBED)
    counts = bring(db, everybody).counts

    assert counts.kept_out == {"unsubscribed": 8 if first is ImportedAs.SUBSCRIBED else 20}
    with db.reading() as session:
        assert list(differences(session)) == []
        consent.verify(session)


@pytest.mark.usefixtures("people")
def test_whoever_the_file_itself_says_has_left_is_kept_out(db: Database, tmp_path: Path) -> None:
    path = write(
        tmp_path,
        b"email,first_name,Email Marketing Status",
        b"a@example.com,,subscribed",
        b"b@example.com,,Unsubscribed",
        b"c@example.com,,cleaned",
        b"d@example.com,,marked as spam",
        b"e@example.com,,",
        b"f@example.com,,gold",
        b"ivan@example.com,,unsubscribed",
        b"lena@example.com,,no",
    )

    told = bring(db, path, dry_run=True)
    result = bring(db, path)

    assert told.counts == result.counts
    assert result.counts.document() == {
        "rows": 8,
        "added": 3,
        "updated": 1,  # lena: left everything before, and now this topic, too
        "unchanged": 0,
        "duplicate_in_file": 0,
        "kept_out": {"complained": 1, "erased": 1, "hard_bounce": 1, "unsubscribed": 1},
        "refused": 0,
    }
    assert result.columns["Email Marketing Status"] == "answer"
    with db.reading() as session:
        people = session.scalar(select(func.count()).select_from(Recipient))
    assert people == 7 + 3, "who left adds nobody; the address alone is kept, as a hash"
    assert _reasons(db, "b@example.com") == {"unsubscribed"}
    assert _reasons(db, "c@example.com") == {"hard_bounce"}
    assert _reasons(db, "d@example.com") == {"complained"}
    assert _reasons(db, "ivan@example.com") == {"erased"}


@pytest.mark.usefixtures("people")
def test_a_line_that_says_no_ends_the_mail_of_who_is_subscribed(
    db: Database, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        b"email,first_name,opted in",
        b"carol@example.com,Another,no",
        b"dave@example.com,,yes",
    )

    told = bring(db, path, dry_run=True)
    first = bring(db, path)

    assert told.counts == first.counts
    assert (first.counts.updated, first.counts.unchanged, first.counts.kept_out) == (1, 1, {})
    assert states(db)["carol"] == "unsubscribed"
    assert _reasons(db, "carol@example.com") == {"unsubscribed"}
    entries = [entry for entry in snapshot(db)["ledger"] if entry[0] == "carol@example.com"]
    assert entries == [
        ("carol@example.com", 1, "subscribed", "unsubscribed"),
        ("carol@example.com", None, None, "withdrawn"),
    ]
    with db.reading() as session:
        carol = session.scalars(select(Recipient).where(Recipient.first_name == "Carol")).one()
        history = consent.history(session, carol.id)
        assert {one.entry.source for one in history} == {Source.IMPORT}
        assert {one.entry.source_ref for one in history} == {f"import:{first.import_id}"}
    before = snapshot(db)
    again = bring(db, path, now=NOW + timedelta(days=1)).counts
    assert snapshot(db) == before
    assert (again.updated, again.unchanged, again.kept_out) == (0, 1, {"unsubscribed": 1})


@pytest.mark.parametrize("brings_yeses", [True, False])
def test_a_no_in_a_file_is_not_taken_back_with_the_click_before_it(
    db: Database, people: dict[str, int], tmp_path: Path, *, brings_yeses: bool
) -> None:
    """Who clicked, and whom the former system has as gone, too, said no twice."""
    carol = people["carol"]
    with db.transaction(Gate.TAKING) as session:
        preferences.opt_out_all(session, carol, ONE_CLICK, now=NOW)
    order: dict[str, Any] = {}
    if brings_yeses:
        path = write(tmp_path, b"email,status", b"carol@example.com,unsubscribed")
    else:
        path = write(tmp_path, b"email", b"carol@example.com")
        order["imported_as"] = ImportedAs.UNSUBSCRIBED

    later = NOW + timedelta(minutes=5)
    assert bring(db, path, dry_run=True, now=later, **order).counts.updated == 1
    assert bring(db, path, now=later, **order).counts.updated == 1

    said = [entry[1:] for entry in snapshot(db)["ledger"] if entry[0] == "carol@example.com"]
    assert said[2:] == [(1, "unsubscribed", "unsubscribed"), (None, "withdrawn", "withdrawn")]
    before = snapshot(db)
    assert bring(db, path, now=later + timedelta(minutes=5), **order).counts.updated == 0
    assert snapshot(db) == before
    with db.transaction(Gate.TAKING) as session:
        undone = preferences.undo(session, carol, PAGE, now=later, window=timedelta(days=1))
    assert not undone.has_changed
    assert states(db)["carol"] == "unsubscribed"
    assert _reasons(db, "carol@example.com") == {"unsubscribed"}


@pytest.mark.usefixtures("people")
def test_a_line_that_says_no_takes_nothing_from_notices(db: Database, tmp_path: Path) -> None:
    path = write(tmp_path, b"email,status", b"carol@example.com,unsubscribed")
    before = snapshot(db)

    counts = bring(db, path, topic="notices").counts

    assert counts.kept_out == {"unsubscribed": 1}
    assert snapshot(db) == before


@pytest.mark.usefixtures("people")
def test_a_column_of_that_name_which_says_something_else_can_be_left_out(
    db: Database, tmp_path: Path
) -> None:
    path = write(tmp_path, b"email,status", b"a@example.com,removed")

    assert bring(db, path, dry_run=True, mapping={"status": "place"}).counts.added == 0
    assert bring(db, path, dry_run=True, mapping={"status": "-"}).counts.added == 1


@pytest.mark.usefixtures("people")
def test_people_of_an_administrative_topic_are_added_without_a_subscription(
    db: Database, golden: Path
) -> None:
    counts = bring(db, golden, topic="notices").counts

    # A no to promotions is none to notices; a bounce, an invalid or an erased address is.
    assert counts.kept_out == {"hard_bounce": 1, "invalid": 1, "erased": 1}
    assert (counts.added, counts.updated, counts.unchanged) == (ADDED, 2, 5)
    assert counts.rows == ROWS
    with db.reading() as session:
        subscribed = select(func.count()).where(Subscription.topic_id == 3)
        assert session.scalar(subscribed) == 0
        assert session.scalar(select(func.count()).select_from(ConsentEntry)) == 0


@pytest.mark.usefixtures("people")
def test_nobody_can_be_unsubscribed_from_notices(db: Database, golden: Path) -> None:
    with pytest.raises(BadInput, match="notices is an administrative topic"):
        bring(db, golden, topic="notices", imported_as=ImportedAs.UNSUBSCRIBED)


def test_an_unknown_topic_and_a_missing_policy_are_refused_before_anything_is_written(
    db: Database, golden: Path
) -> None:
    with pytest.raises(NotFound):
        bring(db, golden, topic="absent")
    with db.transaction() as session:
        make_topic(session, "news")
    for dry_run in (True, False):
        with pytest.raises(Conflict, match="mailprefs policy publish"):
            bring(db, golden, dry_run=dry_run)
    with db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Import)) == 0


@pytest.mark.usefixtures("people")
def test_a_file_without_addresses_writes_nothing(db: Database, tmp_path: Path) -> None:
    before = _everything(db)

    with pytest.raises(BadFile):
        bring(db, write(tmp_path, b"name,city", b"Anna,Bonn"))

    assert _everything(db) == before


@pytest.mark.parametrize("source", ["", "  ", "x" * 2_001])
def test_where_people_agreed_must_be_said(source: str) -> None:
    with pytest.raises(BadInput, match="--source"):
        ImportOrder(topic="news", source=source)


@pytest.mark.usefixtures("people")
def test_progress_goes_up_to_the_last_row_and_byte(db: Database, golden: Path) -> None:
    told: list[Progress] = []
    order = ImportOrder(topic="news", source=SAID)

    run(db, golden, order, hasher=HASHER, actor=CONSOLE, clock=lambda: NOW, progress=told.append)

    size = golden.stat().st_size
    assert told[-1] == Progress(ROWS, size, size)
    assert told == sorted(told)


def _reasons(db: Database, address: str) -> set[str]:
    with db.reading() as session:
        wanted = HASHER.hash(normalise(address).key)
        return set(
            session.scalars(select(Suppression.reason).where(Suppression.address_hash == wanted))
        )


def _everything(db: Database) -> dict[str, int]:
    with db.reading() as session:
        return {
            name: session.scalar(select(func.count()).select_from(table)) or 0
            for name, table in Recipient.metadata.tables.items()
        }

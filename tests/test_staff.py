"""Staff: roles, one-time links, passwords."""

import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from sqlalchemy import text

from mailprefs import audit, staff
from mailprefs.audit import CONSOLE, SYSTEM, Actor
from mailprefs.db.database import Database
from mailprefs.errors import BadAddress, BadInput, Conflict, NotAllowed, NotFound
from mailprefs.links import Links
from mailprefs.policy import Role
from tests.factories import make_staff

NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
LINKS = Links([sha256(b"the token key of nobody").digest()])
PASSWORD = "correct horse battery staple"


def nonce_of(path: str) -> bytes:
    return LINKS.read_sign_in(path.rpartition("/")[2]).nonce


def test_an_added_person_has_exactly_the_roles_given(db: Database) -> None:
    with db.transaction() as session:
        roles = [Role.DRAFT, Role.SEND, Role.DRAFT]
        ann = staff.add(session, "Ann@Example.com", "Ann", roles, CONSOLE, now=NOW)
        assert staff.roles_of(session, ann.id) == {Role.DRAFT, Role.SEND}
        for role in Role:
            if role in {Role.DRAFT, Role.SEND}:
                staff.require(session, Actor(ann.id, "page"), role)
            else:
                with pytest.raises(NotAllowed, match=f"role {role.value}"):
                    staff.require(session, Actor(ann.id, "page"), role)


def test_admin_implies_no_other_role(db: Database) -> None:
    """Whoever gives roles must leave a trace to take one."""
    with db.transaction() as session:
        ann = make_staff(session, Role.ADMIN)
        with pytest.raises(NotAllowed):
            staff.require(session, Actor(ann.id, "page"), Role.PRIVACY)
        staff.grant(session, ann.id, Role.PRIVACY, Actor(ann.id, "page"), now=NOW)
        staff.require(session, Actor(ann.id, "page"), Role.PRIVACY)
        (note,) = audit.of(session, ("staff", ann.id))
    assert (note.action, note.staff_id, note.details) == (
        "staff.role_given",
        ann.id,
        {"role": "privacy"},
    )


@pytest.mark.parametrize("actor", [SYSTEM, Actor(None, "page"), Actor(99, "page")])
def test_nobody_named_has_no_role(db: Database, actor: Actor) -> None:
    with db.transaction() as session, pytest.raises(NotAllowed):
        staff.require(session, actor, Role.SEND)


@pytest.mark.parametrize("role", list(Role))
def test_whoever_holds_the_console_may_do_all_but_be_the_second_person(
    db: Database, role: Role
) -> None:
    with db.transaction() as session:
        if role is Role.APPROVE:
            with pytest.raises(NotAllowed, match="--as"):
                staff.require(session, CONSOLE, role)
        else:
            staff.require(session, CONSOLE, role)


def test_one_address_is_one_person_however_it_is_typed(db: Database) -> None:
    with db.transaction() as session:
        ann = staff.add(session, "Ann@Example.com", "", [Role.ADMIN], CONSOLE, now=NOW)
        assert ann.name == "ann"
        assert staff.by_email(session, " ANN@example.COM ").id == ann.id
        with pytest.raises(Conflict, match="already is"):
            staff.add(session, "ann@example.com", "Ann", [], CONSOLE, now=NOW)


def test_bad_and_unknown_addresses_are_sentences_without_the_address(db: Database) -> None:
    with db.transaction() as session:
        with pytest.raises(BadAddress):
            staff.add(session, "ann", "Ann", [], CONSOLE, now=NOW)
        with pytest.raises(NotFound) as caught:
            staff.by_email(session, "ann@example.com")
        with pytest.raises(NotFound):
            staff.by_id(session, 99)
    assert "ann" not in str(caught.value)


def test_a_role_is_given_and_taken_once_and_both_are_audited(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        assert staff.grant(session, ann.id, Role.SEND, CONSOLE, now=NOW)
        assert not staff.grant(session, ann.id, Role.SEND, CONSOLE, now=NOW)
        assert staff.revoke(session, ann.id, Role.SEND, CONSOLE, now=NOW)
        assert not staff.revoke(session, ann.id, Role.SEND, CONSOLE, now=NOW)
        assert staff.roles_of(session, ann.id) == frozenset()
        actions = [note.action for note in audit.of(session, ("staff", ann.id))]
    assert actions == ["staff.role_given", "staff.role_taken"]


def test_the_last_admin_stays(db: Database) -> None:
    with db.transaction() as session:
        ann, bob = make_staff(session, Role.ADMIN), make_staff(session, Role.ADMIN)
        staff.deactivate(session, bob.id, CONSOLE, now=NOW)
        with pytest.raises(Conflict, match="last admin"):
            staff.revoke(session, ann.id, Role.ADMIN, CONSOLE, now=NOW)
        with pytest.raises(Conflict, match="last admin"):
            staff.deactivate(session, ann.id, CONSOLE, now=NOW)
        staff.activate(session, bob.id, CONSOLE, now=NOW)
        assert staff.revoke(session, ann.id, Role.ADMIN, CONSOLE, now=NOW)


def test_whoever_is_deactivated_loses_roles_session_and_links_at_once(db: Database) -> None:
    with db.transaction() as session:
        make_staff(session, Role.ADMIN)
        ann = make_staff(session, Role.SEND)
        key = ann.session_key
        assert staff.by_session_key(session, key) is ann
        path = staff.sign_in_link(session, LINKS, ann.id, now=NOW)
        staff.deactivate(session, ann.id, CONSOLE, now=NOW)
        assert staff.roles_of(session, ann.id) == frozenset()
        assert staff.by_session_key(session, key) is None
        assert staff.by_session_key(session, ann.session_key) is None
        with pytest.raises(NotAllowed):
            staff.redeem(session, nonce_of(path), now=NOW)
        with pytest.raises(NotAllowed, match="isn't active"):
            staff.sign_in_link(session, LINKS, ann.id, now=NOW)
        with pytest.raises(NotAllowed):
            staff.require(session, Actor(ann.id, "page"), Role.SEND)


def test_a_sign_in_link_works_once(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
        assert staff.link_is_good(session, nonce, now=NOW)
        assert staff.redeem(session, nonce, now=NOW) == ann.id
        assert not staff.link_is_good(session, nonce, now=NOW)
        with pytest.raises(NotAllowed, match="used already or is too old"):
            staff.redeem(session, nonce, now=NOW)


@pytest.mark.parametrize(
    ("age", "works"), [(timedelta(hours=23, minutes=59), True), (timedelta(hours=24), False)]
)
def test_a_sign_in_link_lasts_a_day(db: Database, age: timedelta, *, works: bool) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
        assert staff.link_is_good(session, nonce, now=NOW + age) is works
        if works:
            assert staff.redeem(session, nonce, now=NOW + age) == ann.id
        else:
            with pytest.raises(NotAllowed):
                staff.redeem(session, nonce, now=NOW + age)


def test_a_link_of_somebody_inactive_signs_nobody_in(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
        ann.active = False
        session.flush()
        with pytest.raises(NotAllowed):
            staff.redeem(session, nonce, now=NOW)


def test_a_made_up_number_signs_nobody_in(db: Database) -> None:
    with db.transaction() as session:
        make_staff(session)
        with pytest.raises(NotAllowed):
            staff.redeem(session, bytes(16), now=NOW)


def test_of_two_clicks_at_once_one_gets_in(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def click() -> None:
        start.wait(30)
        try:
            with db.transaction() as session:
                staff.redeem(session, nonce, now=NOW)
            outcomes.append("in")
        except NotAllowed:
            outcomes.append("out")

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["in", *["out"] * 7]


def test_neither_a_link_nor_a_password_can_be_read_from_the_database(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
        staff.set_password(session, ann.id, PASSWORD, CONSOLE, now=NOW)
        path = staff.sign_in_link(session, LINKS, ann.id, now=NOW)
        stored = [
            bytes(row.nonce_hash)
            for row in session.execute(text("SELECT nonce_hash FROM sign_in_links"))
        ]
        assert stored == [sha256(nonce_of(path)).digest()]
        assert nonce not in stored
        assert ann.password_hash is not None
        assert ann.password_hash.startswith("$argon2id$")
        assert PASSWORD not in ann.password_hash


def test_a_password_signs_in_its_owner_only(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session, email="ann@example.com")
        make_staff(session, email="bob@example.com")
        staff.set_password(session, ann.id, PASSWORD, CONSOLE, now=NOW)
        assert staff.check_password(session, "ANN@example.com", PASSWORD) is ann
        for email, password in [
            ("ann@example.com", PASSWORD + " "),
            ("ann@example.com", ""),
            ("ann@example.com", "x" * 1_000_000),
            ("bob@example.com", PASSWORD),
            ("nobody@example.com", PASSWORD),
            ("no address", PASSWORD),
        ]:
            assert staff.check_password(session, email, password) is None
        make_staff(session, Role.ADMIN)
        staff.deactivate(session, ann.id, CONSOLE, now=NOW)
        assert staff.check_password(session, "ann@example.com", PASSWORD) is None


def test_an_unknown_address_costs_as_much_as_a_wrong_password(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: each attempt is one argon2 verification."""
    verified: list[str] = []

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            verified.append(kept)
            return False

    monkeypatch.setattr(staff, "_nobodys_hash", lambda: "nobody's")
    monkeypatch.setattr(staff, "_passwords", Counting())
    with db.transaction() as session:
        ann = make_staff(session, email="ann@example.com")
        ann.password_hash = "ann's"
        for email in ("ann@example.com", "nobody@example.com", "no address"):
            staff.check_password(session, email, PASSWORD)
    assert verified == ["ann's", "nobody's", "nobody's"]


def test_a_new_password_ends_sessions_and_links(db: Database) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        before = ann.session_key
        nonce = nonce_of(staff.sign_in_link(session, LINKS, ann.id, now=NOW))
        staff.set_password(session, ann.id, PASSWORD, Actor(ann.id, "page"), now=NOW)
        assert staff.by_session_key(session, before) is None
        assert staff.by_session_key(session, ann.session_key) is ann
        assert not staff.link_is_good(session, nonce, now=NOW)
        (note,) = audit.of(session, ("staff", ann.id))
    assert note.action == "staff.password_set"
    assert note.details == {}


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "x" * 257])
def test_a_password_that_is_too_short_or_endless_is_refused(db: Database, password: str) -> None:
    with db.transaction() as session:
        ann = make_staff(session)
        with pytest.raises(BadInput, match="at least 12 characters"):
            staff.set_password(session, ann.id, password, CONSOLE, now=NOW)


def test_everybody_is_listed_with_their_roles(db: Database) -> None:
    with db.transaction() as session:
        ann, bob = make_staff(session, Role.ADMIN, Role.SEND), make_staff(session)
        found = [(person.id, roles) for person, roles in staff.listed(session)]
    assert found == [(ann.id, frozenset({Role.ADMIN, Role.SEND})), (bob.id, frozenset())]

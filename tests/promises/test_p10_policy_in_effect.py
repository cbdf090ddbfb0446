"""P10: what is collected is governed by the policy in effect when it was collected."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from mailprefs import consent
from mailprefs.schema.choices import PolicyVersion
from mailprefs.schema.deliveries import Delivery
from mailprefs.schema.imports import Import
from mailprefs.schema.opens import Open
from mailprefs.schema.people import Subscription
from tests.company import ONE_CLICK, Company

ADA, BO, CY = (f"{name}@example.org" for name in ("ada", "bo", "cy"))


def publish(company: Company, version: str) -> int:
    """Put a new policy in force, a day later."""
    company.clock.pass_by(days=1)
    with company.db.transaction() as session:
        number = consent.publish_policy(session, version, f"Policy {version}.", now=company.clock())
    company.clock.pass_by(hours=1)
    return number


def choices(company: Company, address: str) -> list[int]:
    """List the policy versions of one person's choices, in order."""
    with company.db.reading() as session:
        return [
            one.entry.policy_version_id
            for one in consent.history(session, company.person(address).id)
        ]


def deliveries(company: Company) -> list[tuple[int, int]]:
    with company.db.reading() as session:
        rows = session.execute(
            select(Delivery.campaign_id, Delivery.policy_version_id).order_by(Delivery.id)
        )
        return [(row.campaign_id, row.policy_version_id) for row in rows]


def opens(company: Company) -> dict[int, int]:
    with company.db.reading() as session:
        rows = session.execute(select(Open.delivery_id, Open.policy_version_id))
        return {row.delivery_id: row.policy_version_id for row in rows}


def test_choices_messages_and_opens_carry_the_version_of_their_time(company: Company) -> None:
    company.bring(ADA, BO)
    first = company.send()
    company.clock.pass_by(minutes=1)
    ada, bo = company.message(first, ADA), company.message(first, BO)
    company.load(ada)
    kept = (choices(company, ADA), deliveries(company), opens(company))
    assert kept == ([1], [(first, 1), (first, 1)], {ada.delivery_id: 1})

    later = publish(company, "second")
    company.bring(CY)
    second = company.send()
    company.load(bo)
    company.load(company.message(second, CY))
    company.client.post(ada.one_click, data=ONE_CLICK)

    assert choices(company, CY) == [later]
    assert choices(company, ADA) == [1, later, later]
    assert deliveries(company) == [(first, 1)] * 2 + [(second, later)] * 3
    # Bo's open of the first message was collected under the second version.
    assert opens(company) == {
        ada.delivery_id: 1,
        bo.delivery_id: later,
        company.message(second, CY).delivery_id: later,
    }


def test_a_new_version_changes_nothing_that_is_on_file(company: Company) -> None:
    company.bring(ADA, BO)
    number = company.send()
    company.clock.pass_by(minutes=1)
    company.load(company.message(number, ADA))
    before = on_file(company)
    publish(company, "second")
    assert on_file(company) == before


def on_file(company: Company) -> list[list[tuple[object, ...]]]:
    """Give every row that carries a policy version."""
    with company.db.reading() as session:
        return [
            [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in (
                Subscription.__table__,
                Delivery.__table__,
                Open.__table__,
                Import.__table__,
            )
        ]


def test_a_choice_before_a_version_comes_into_force_is_under_the_former(company: Company) -> None:
    company.bring(ADA, BO)
    messages = company.arrived(company.send())
    with company.db.transaction() as session:
        begins = company.clock().replace(microsecond=0)
        company.clock.pass_by(days=-1)
        soon = consent.publish_policy(
            session, "soon", "Soon.", now=company.clock(), effective_from=begins
        )
    company.client.post(messages[0].one_click, data=ONE_CLICK)
    company.clock.pass_by(days=1)
    company.client.post(messages[1].one_click, data=ONE_CLICK)
    assert choices(company, messages[0].address) == [1, 1, 1]
    assert choices(company, messages[1].address) == [1, soon, soon]


def test_the_message_and_the_page_lead_to_the_policy_in_force(company: Company) -> None:
    company.bring(ADA)
    publish(company, "second")
    message = company.message(company.send(), ADA)
    assert "https://mail.example.com/policy" in message.text
    assert "Policy second." in company.client.get("/policy").text


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_versions SET text = 'We never said so.'",
        "UPDATE policy_versions SET version = 'zero'",
        "DELETE FROM policy_versions",
    ],
)
def test_a_published_text_never_changes(company: Company, statement: str) -> None:
    company.bring(ADA)
    with company.db.transaction() as session:
        with pytest.raises(DBAPIError):
            session.execute(text(statement))
        session.rollback()
    with company.db.reading() as session:
        assert [one.version for one in session.scalars(select(PolicyVersion))] == ["first"]

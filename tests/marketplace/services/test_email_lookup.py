"""People are found by e-mail address whatever its letters' case, by an index, and no two share one."""

import pytest
from allauth.account.models import EmailAddress
from django.db import IntegrityError, connection, transaction

from marketplace.models import Person
from marketplace.services.accounts import person_create
from tests.portal.scene import person_make

PEOPLE = 20_000


@pytest.mark.django_db
def test_no_two_people_share_an_address_but_for_case() -> None:
    person = person_create(email="Alice@Nimbus.Example")
    assert person.email == "alice@nimbus.example"
    with pytest.raises(IntegrityError, match="person_email_unique_ci"), transaction.atomic():
        Person.objects.bulk_create([Person(email="ALICE@nimbus.example", password="!")])


@pytest.mark.django_db
def test_looking_somebody_up_by_address_reads_an_index_and_not_everybody() -> None:
    person_make("alice@nimbus.example", "Alice Martin", with_password=False)
    crowd = Person.objects.bulk_create(Person(email=f"somebody-{n}@crowd.example", password="!") for n in range(PEOPLE))
    EmailAddress.objects.bulk_create(EmailAddress(user=one, email=one.email, primary=True) for one in crowd)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {Person._meta.db_table}, {EmailAddress._meta.db_table}")
    for found in (
        Person.objects.filter(email__iexact="Alice@Nimbus.example"),  # invitations, mails, a person made by a command
        Person.objects.filter(email="alice@nimbus.example"),  # the login, which knows small letters only
        EmailAddress.objects.filter(email="alice@nimbus.example"),
    ):
        assert found.count() == 1
        assert "Seq Scan" not in found.explain()

"""Small shared steps of the catalogue's services: lock a stage, refresh the search tokens of an Api."""

from django.db import connection
from django.utils.translation import gettext as _

from marketplace.core.search import vector_text
from marketplace.errors import Fault, InvalidInput
from marketplace.models import Api, Stage


def api_lock(*, api: Api) -> Api:
    """Return the Api, locked until the transaction ends. Whoever locks a stage too locks the Api first: one order, no deadlock."""
    return Api.objects.select_for_update(of=("self",)).select_related("provider").get(id=api.id)


def stage_lock(*, api: Api, stage: str) -> Stage:
    """Return the stage named ``stage`` of ``api``, locked until the transaction ends. Raises InvalidInput for no such stage."""
    try:
        return Stage.objects.select_for_update().get(api=api, name=stage)
    except Stage.DoesNotExist as error:
        message = _("There is no such stage. Choose test, pre or release.")
        raise InvalidInput(message, faults=[Fault("/stage", message)]) from error


def search_tokens_set(api: Api) -> None:
    """Rebuild the search tokens of an Api from its name, category, summary, description and operations."""
    operations = api.operations.filter(retired_at=None).values_list("name", "summary", "path_template")[:500]
    vector = vector_text(
        {
            "A": api.name,
            "B": f"{api.category} {api.summary} {api.base_path}",
            "C": f"{api.provider.name} " + " ".join(" ".join(operation) for operation in operations),
            "D": api.description,
        }
    )
    with connection.cursor() as cursor:
        cursor.execute("UPDATE marketplace_api SET search_tokens = %s::tsvector WHERE id = %s", [vector, api.id])

"""Everything that a service of this app can refuse, as one tree with stable codes. Doors render it; nothing swallows it.

    ApplicationError            a refusal with a code and a sentence that says what to do
    ├── InvalidInput            a value cannot be right                                   400
    │   └── DocumentRefused     an OpenAPI document cannot be imported (one fault a line) 400
    ├── NotPermitted            the person's role does not allow it                       403
    ├── NotFound                no such object, or none that the person may see           404
    ├── Conflict                the object's present state does not allow it              409
    │   ├── NameTaken           another object has the name or path already               409
    │   └── LimitReached        there are as many of these as there may be                409
    └── Gone                    the offer has ended (an expired or withdrawn invitation)  410

Neighbours raise subclasses of ApplicationError too; ``status`` is the HTTP status that a door answers with.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input. ``pointer``: an RFC 6901 JSON pointer to it, empty for the whole input."""

    pointer: str
    detail: str


class ApplicationError(Exception):
    """A refusal with a stable ``code``, a ``message`` for people, and the ``faults`` it consists of, if several."""

    code = "refused"
    status = 400

    def __init__(self, message: str, *, code: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.message = str(message)
        self.code = code or type(self).code
        self.faults = tuple(faults)


class InvalidInput(ApplicationError):
    """A value cannot be right; ``faults`` point to each."""

    code = "input_invalid"


class DocumentRefused(InvalidInput):
    """An OpenAPI document cannot be imported; ``faults`` point into the document."""

    code = "document_refused"


class NotPermitted(ApplicationError):
    """The person's role, or the scopes of the access token, do not allow this."""

    code = "not_permitted"
    status = 403


class NotFound(ApplicationError):
    """There is no such object, or none that this person may see: strangers cannot tell the two apart."""

    code = "not_found"
    status = 404


class Conflict(ApplicationError):
    """The object's present state does not allow this."""

    code = "conflict"
    status = 409


class NameTaken(Conflict):
    """Another object has this name or path already."""

    code = "name_taken"


class LimitReached(Conflict):
    """There are as many of these as there may be."""

    code = "limit_reached"


class Gone(ApplicationError):
    """What was offered has ended."""

    code = "gone"
    status = 410

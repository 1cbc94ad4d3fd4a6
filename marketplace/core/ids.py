"""Public ids: a UUIDv7 shown with the prefix of its kind (``app_06a1…``). Pure text work; minting lives in models.

The shown form is ``<prefix>_<26 characters>``, Crockford base32 of the 128 bits, lower case, so that ids sort as their times do.
"""

from uuid import UUID

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ENCODED_LENGTH = 26
_VALUES = {character: value for value, character in enumerate(ALPHABET)}


class MalformedId(ValueError):
    """The text is not ``<prefix>_<26 base32 characters>`` of the expected prefix."""


def id_show(prefix: str, value: UUID) -> str:
    """Return the public form of ``value``, such as ``inv_01j…``."""
    number = value.int
    characters = [""] * ENCODED_LENGTH
    for position in range(ENCODED_LENGTH - 1, -1, -1):
        characters[position] = ALPHABET[number & 31]
        number >>= 5
    return f"{prefix}_{''.join(characters)}"


def id_parse(prefix: str, text: str) -> UUID:
    """Return the UUID behind a public id. Raises MalformedId when prefix, length, alphabet or size is wrong."""
    head, separator, body = text.rpartition("_")
    if not separator or head != prefix or len(body) != ENCODED_LENGTH:
        raise MalformedId(f"Expected an id of the form {prefix}_ and {ENCODED_LENGTH} characters")
    number = 0
    for character in body.lower():
        digit = _VALUES.get(character)
        if digit is None:
            raise MalformedId(f"{character!r} does not occur in ids")
        number = (number << 5) | digit
    if number >> 128:
        raise MalformedId("The id is larger than 128 bits")
    return UUID(int=number)

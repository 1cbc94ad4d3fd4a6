"""The language of a page: what its reader prefers, of those that our own texts are translated to.

Django and its packages speak a hundred languages by themselves: without this, whoever reads one that we do not speak yet would get
their words for "log in" and "search" between our English ones. A language is spoken once its catalogue is in ``locale/``.
"""

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.utils import translation


def languages_spoken() -> list[str]:
    """The codes of the languages of pages; the one that the texts are written in always."""
    found = [
        code
        for code, _name in settings.LANGUAGES
        if any(
            (path / translation.to_locale(code) / "LC_MESSAGES" / "django.mo").exists()
            for path in settings.LOCALE_PATHS
        )
    ]
    return list(dict.fromkeys([settings.LANGUAGE_CODE, *found]))


class PageLanguageMiddleware(LocaleMiddleware):
    """LocaleMiddleware that falls back to the language of our texts."""

    spoken = frozenset(languages_spoken())

    def process_request(self, request: HttpRequest) -> None:
        """Choose the language for this request."""
        super().process_request(request)
        if translation.get_language() not in self.spoken:
            translation.activate(settings.LANGUAGE_CODE)
            request.LANGUAGE_CODE = settings.LANGUAGE_CODE

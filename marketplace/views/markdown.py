"""Strangers' Markdown as safe HTML: parsed without raw HTML, then reduced to an allow-list; links leave without our blessing."""

import nh3
from django.utils.safestring import SafeString
from markdown_it import MarkdownIt

MARKDOWN_CHARACTERS_MAX = 50_000
TAGS = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "h5", "hr", "li", "ol", "p", "pre", "s", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_parser = MarkdownIt("js-default", {"html": False, "linkify": False})


def markdown_render(text: str) -> SafeString:
    """Return HTML that is safe to show; headings start at level 2, since the page has its own level 1."""
    html = _parser.render(text[:MARKDOWN_CHARACTERS_MAX])
    html = html.replace("<h1>", "<h2>").replace("</h1>", "</h2>")
    clean = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow ugc noopener",
    )
    return SafeString(clean)

"""Text inside XML that we write ourselves, one element at a time."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr  # only writing: bandit's B406 is about parsing

# Characters that XML 1.0 cannot hold, even escaped (https://www.w3.org/TR/xml/#charsets).
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(content: str) -> str:
    """Content of an element; characters that XML cannot hold become U+FFFD."""
    return escape(FORBIDDEN.sub("\ufffd", content))


def attribute(content: str) -> str:
    """A quoted attribute value, quotes included."""
    return quoteattr(FORBIDDEN.sub("\ufffd", content))

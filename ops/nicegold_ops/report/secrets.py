"""A configuration as it may be shown to others: without passwords, keys and tokens."""

from __future__ import annotations

import re

#: What stands where a secret was.
MASK = "********"
_NAMES = r"password|passwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key|dsn"
_STRING = r'"(?:[^"\\]|\\.)*"'
#: A key that says what it holds, and its value: a string, a list or a table on one line, or a bare word.
_SECRET = re.compile(
    rf'(?P<key>[\w-]*(?:{_NAMES})[\w-]*"? = )(?P<value>{_STRING}|\[[^\n]*?\]|\{{[^\n]*?\}}|[^,}}\n]+)',
    re.IGNORECASE,
)
#: Where a secret is, is none.
_REFERENCE = re.compile(r'"(?:env|file|vault):')
_IN_URL = re.compile(r"(?P<before>://[^\s/:@\"]*:)[^\s/@\"]+(?P<after>@)")


def without_secrets(text: str) -> str:
    """*text*, a configuration in its canonical TOML, with a mask for each secret's value.

    A setting is secret by its name, such as ``api_key``; and so is the password in a URL. References
    such as ``env:NAME`` are left.
    """
    return _IN_URL.sub(rf"\g<before>{MASK}\g<after>", _SECRET.sub(_masked, text))


def _masked(found: re.Match[str]) -> str:
    if _REFERENCE.match(found["value"]):
        return found[0]
    return f'{found["key"]}"{MASK}"'

"""OpenID Connect providers of an account, as values: whose identity tokens its roles may trust.

Source: IAM API Reference, CreateOpenIDConnectProvider; IAM User Guide, "IAM and AWS STS quotas".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from iam.tags import Tags

MAX_PROVIDERS = 100
"""Of an account."""
MAX_CLIENT_IDS = 100
MAX_THUMBPRINTS = 5
MAX_URL_CHARACTERS = 255

_ARN = re.compile(r"arn:aws:iam::[0-9]{12}:oidc-provider/[!-~]{1,255}")
_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}")
_PREFIXES = frozenset({"aws", "iam", "kms", "organizations", "s3", "saml", "sts"})
"""What condition keys of AWS begin with: a provider of such a name could put words into their mouth."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True, slots=True)
class OIDCProvider:
    """`url` is the issuer, with its scheme; `client_ids` are the audiences that its tokens may be for."""

    account_id: str
    url: str
    created_us: int
    client_ids: tuple[str, ...] = ()
    thumbprints: tuple[str, ...] = ()
    tags: Tags = ()

    @property
    def name(self) -> str:
        """What ARNs and condition keys call it: the issuer without its scheme."""
        return self.url.partition("://")[2]

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:oidc-provider/{self.name}"


def check_provider_url(text: str) -> str:
    """The text itself if it can be an issuer: https, or http on this machine; without query or fragment.

    Raises ValueError.
    """
    if len(text) > MAX_URL_CHARACTERS or not is_fetchable(text) or text.partition("://")[2] in _PREFIXES:
        raise ValueError(
            f"an issuer is an https URL of at most {MAX_URL_CHARACTERS} characters, without query and fragment"
        )
    return text


def is_fetchable(url: str) -> bool:
    """Whether it is a URL that a provider's documents may have: nothing in it but scheme, host, port and path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = _host(parts)
    if port == 0 or not (_HOST.fullmatch(host) and _PATH.fullmatch(parts.path)):
        return False
    authority = host if port is None else f"{host}:{port}"
    if url != f"{parts.scheme}://{authority}{parts.path}":  # neither user, nor query, nor an odd spelling
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def is_loopback(url: str) -> bool:
    """Whether a URL of `is_fetchable` is on this machine by its name."""
    return _host(urlsplit(url)) in _LOOPBACK


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def is_provider_arn(text: str) -> bool:
    return _ARN.fullmatch(text) is not None


def check_thumbprint(text: str) -> str:
    """The text itself if it is a SHA-1 in hex. Raises ValueError."""
    if not _THUMBPRINT.fullmatch(text):
        raise ValueError("a thumbprint has 40 hex digits")
    return text

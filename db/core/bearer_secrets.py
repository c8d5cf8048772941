"""Secrets that are good for whoever brings them: API keys, refresh tokens, session cookies, links.

A prefix that tells what it is, and 256 random bits. What is stored is the SHA-256 of the whole
text: nothing can be guessed from it, so it needs no salt and can be looked up by.
"""

import base64
import os
from hashlib import sha256

API_KEY, REFRESH_TOKEN, SESSION, LINK = "opsk_", "opsr_", "opss_", "opsl_"
MAX_SECRET_CHARACTERS = 128
_SECRET_BYTES = 32


def new_secret(prefix: str) -> str:
    """Return a new one."""
    return written(prefix, os.urandom(_SECRET_BYTES))


def written(prefix: str, secret: bytes) -> str:
    """Write 32 bytes as the text of a secret."""
    return prefix + base64.urlsafe_b64encode(secret).rstrip(b"=").decode("ascii")


def secret_hash(text: str) -> bytes:
    """Return the hash that is stored of a secret."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()

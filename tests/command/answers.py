"""What a server answers, and what it left in a store before."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

from domo_oauth import ClientCredentials, Token
from domo_oauth.stores import Store
from domo_oauth.stores.sealing import Entry, Refusal, SealedStore

TOKEN = "canary-token.a_b~c+d/e=="


def answer(status: str = "200 OK", *fields: str, body: str = "{}") -> bytes:
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body.encode()


def granted(token: str = TOKEN, **more: object) -> bytes:
    return answer(body=json.dumps({"access_token": token, "token_type": "bearer", "expires_in": 3599} | more))


GRANTED = granted(customer="acme", role="Admin", userId=7, scope="user data", jti="jti-1")


def leave(store: Store, url: str, left: float, lifetime: int = 3600, refusal: Refusal | None = None) -> None:
    """Put a token into the store that expires in so many seconds."""
    now = time.time()
    old = Token("canary-old", expires_in=lifetime, expires_at=datetime.fromtimestamp(now + left, UTC))
    credentials = ClientCredentials("canary-client", "canary-secret")
    SealedStore(store, credentials, None, url).save(Entry(old, now + left, refusal), now)

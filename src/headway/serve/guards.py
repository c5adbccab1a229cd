"""What every request meets before a route: is it for this host, may it come in; and what every answer is sent with."""

from __future__ import annotations

import hmac
from collections.abc import Collection, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headway.serve.journal import Journal
from headway.serve.leaving import GONE, Presence
from headway.serve.limits import Limits
from headway.serve.metrics import Metrics
from headway.serve.page_routes import FILES
from headway.serve.problems import Problem

OPEN_TO_ALL = ("/healthz", "/readyz", *FILES)
# Of LibreTranslate, whose clients send the key there, of a GET too.
KEY_IN_BODY = {"/translate": "POST", "/detect": "POST", "/languages": "GET"}
UNPROVED = "headway.unproved"  # of a scope: no key has been seen yet, and nothing but a refusal may be answered
LONGEST_KEY = 4096
HEADERS = {
    "content-security-policy": "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


class Keys:
    """Keys that open a server; compared in a time that tells nothing of them."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def has(self, given: str) -> bool:
        if len(given) > LONGEST_KEY:
            return False
        told = given.strip().encode("utf-8", "replace")
        return sum(hmac.compare_digest(told, key) for key in self._keys) > 0  # all are compared

    def prove(self, scope: MutableMapping[str, Any], given: str | None) -> None:
        """Lets a request in whose key came in its body. Raises Problem for a wrong one, or none."""
        if scope.get(UNPROVED) and not self.has(given or ""):
            raise Problem(403, "no_key", "api_key is missing or wrong", "send it in the body, or as authorization: Bearer KEY")
        scope.pop(UNPROVED, None)


class Guards:
    """
    Args:
        hosts: names that the server is asked by; a page of elsewhere that has its name point here knows none of them.
        keys: one of which a request must carry; of none: anybody may come in.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str], keys: Keys, limits: Limits, metrics: Metrics, journal: Journal
    ) -> None:
        self.app, self.limits, self.metrics, self.journal = app, limits, metrics, journal
        self.hosts = {host.lower() for host in hosts}
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with self.metrics.request() as seen, self.journal.request(scope) as entry:

            async def send_guarded(message: Message) -> None:
                if message["type"] == "http.response.start":
                    if scope.get(UNPROVED) and message["status"] < 400:
                        raise RuntimeError("an answer to somebody without a key")
                    seen.status = entry.status = message["status"]
                    MutableHeaders(scope=message).update({**HEADERS, "x-request-id": entry.id})
                await send(message)

            try:
                self._look_at(scope)
            except Problem as problem:
                answer = problem.plain() if scope["path"] in KEY_IN_BODY else problem.response()
                await answer(scope, receive, send_guarded)
                return
            presence = Presence(receive, send_guarded)
            await presence.run(self.app, scope)
            if presence.gone:
                seen.status = entry.status = GONE

    def _look_at(self, scope: Scope) -> None:
        """Raises Problem."""
        headers = Headers(scope=scope)
        if not self._is_own(headers.get("host", "")):
            raise Problem(400, "other_host", "this server has another name", "start it with --host-name for each of its names")
        if not self.keys and scope["method"] not in ("GET", "HEAD") and self._is_of_another_site(headers):
            problem = "a page of another site asks"  # whose browser sends forms and files without a word before
            raise Problem(400, "other_site", problem, "ask from a page of this server, or start it with --key-file")
        length, most = headers.get("content-length", "0"), self.limits.bytes_of(scope["path"])
        if not length.isdigit() or int(length[:20]) > most:
            raise Problem(413, "too_large", f"the body has more than {most:,} bytes", "send less at a time")
        if self.keys and scope["path"] not in OPEN_TO_ALL and not self._has_key(headers):
            if KEY_IN_BODY.get(scope["path"]) == scope["method"] and "authorization" not in headers and "content-type" in headers:
                scope[UNPROVED] = True
                return
            raise Problem(401, "no_key", "an API key is missing or wrong", "send authorization: Bearer KEY")

    def _is_own(self, host: str) -> bool:
        """Whether a host, with or without a port, is this server."""
        name, _, port = host.lower().rpartition(":")
        return "*" in self.hosts or (name if port.isdigit() else host.lower()) in self.hosts

    def _is_of_another_site(self, headers: Headers) -> bool:
        """What the browser tells of the page that asks; other clients tell nothing."""
        origin = headers.get("origin")
        elsewhere = origin is not None and not self._is_own(origin.partition("://")[2])
        return headers.get("sec-fetch-site") == "cross-site" or elsewhere

    def _has_key(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self.keys.has(given)

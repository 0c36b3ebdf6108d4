"""A page of the web, fetched without being led to this computer or its network.

Whoever may import a URL could otherwise read what only this computer reaches: routers, databases,
a cloud's metadata. So each name is resolved here, every address it has must be public, and the
connection goes to the very address that was looked at: a second resolution could answer otherwise.
Redirects go the same way.
"""

from __future__ import annotations

import asyncio
import codecs
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.message import Message
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpx

from kefu import __version__
from kefu.errors import InvalidInput
from kefu.knowledge.documents.kinds import Kind, find_kind
from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES, MIB
from kefu.knowledge.entry import MAX_SOURCE
from kefu.knowledge.sources import SourceFile

# Takes a host and a port, gives its addresses as texts.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

MAX_REDIRECTS = 5
FETCH_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 20.0

_PORTS = {"http": 80, "https": 443}
_HEADERS = {
    "User-Agent": f"kefu/{__version__}",
    "Accept": "text/html, text/markdown, application/pdf, text/plain, */*;q=0.5",
    "Accept-Encoding": "identity",
}
_OFFICE = "application/vnd.openxmlformats-officedocument"
_KINDS: Mapping[str, Kind] = {
    "text/html": "web_page",
    "application/xhtml+xml": "web_page",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/plain": "plain_text",
    "application/pdf": "pdf",
    f"{_OFFICE}.wordprocessingml.document": "word",
    f"{_OFFICE}.spreadsheetml.sheet": "workbook",
    "text/csv": "table",
    "application/x-ndjson": "table",
    "application/jsonl": "table",
}
# Servers say these of files that they know nothing about.
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain"})
_TEXTS: frozenset[Kind] = frozenset({"web_page", "markdown", "plain_text", "table"})

# IPv6 is public within this block only, and not in its parts for documentation and tunnels.
_PUBLIC_IPV6 = IPv6Network("2000::/3")
# Protocol assignments and the gateways that 6to4 had.
_NO_HOSTS_IPV4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NO_HOSTS_IPV6 = (
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    IPv6Network("3fff::/20"),
)
_NAT64 = IPv6Network("64:ff9b::/96")


async def fetch(
    url: str, *, allow_private: bool = False, resolve: Resolve | None = None
) -> SourceFile:
    """The document at a URL, whose name is the URL. `allow_private`: of an own network as well.

    Raises `InvalidInput` for a URL that is not taken, an address that is not public, an answer
    that is no document, and for what takes too long or is too large.
    """
    name = _checked_url(url)
    transport = PublicTransport(resolve or resolve_host, allow_private)
    client = httpx.AsyncClient(
        transport=transport,
        trust_env=False,  # a proxy would resolve the name again
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
        headers=_HEADERS,
        timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
    )
    try:
        async with asyncio.timeout(FETCH_SECONDS), client, client.stream("GET", name) as response:
            kind = _kind(response, name)
            content = await _body(response, name)
    except TimeoutError as error:
        raise InvalidInput(f"{name} did not arrive within {FETCH_SECONDS:g} s.") from error
    except httpx.TooManyRedirects as error:
        raise InvalidInput(f"{name} redirects more than {MAX_REDIRECTS} times.") from error
    except httpx.HTTPError as error:
        raise InvalidInput(f"{name} cannot be fetched: {_reason(error)}.") from error
    return SourceFile(name, kind, _as_utf8(content, kind, response))


async def resolve_host(host: str, port: int) -> list[str]:
    """The addresses of a host, as this computer resolves names."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet's, also where it wraps another one."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        is_host = not any(found in block for block in _NO_HOSTS_IPV4)
        return is_host and found.is_global and not found.is_multicast and not found.is_reserved
    return _is_public_ipv6(found)


def _is_public_ipv6(address: IPv6Address) -> bool:
    wrapped = address.ipv4_mapped or address.sixtofour
    if address in _NAT64:
        wrapped = IPv4Address(address.packed[-4:])
    if wrapped is not None:
        return is_public(str(wrapped))
    is_host = address in _PUBLIC_IPV6 and not any(address in block for block in _NO_HOSTS_IPV6)
    return is_host and address.scope_id is None


class PublicTransport(httpx.AsyncBaseTransport):
    """Connects to addresses that were looked at, one new connection for each request."""

    def __init__(self, resolve: Resolve, allow_private: bool) -> None:
        self._resolve = resolve
        self._allow_private = allow_private
        # A connection that is kept would be used for another name at the same address.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._transport = httpx.AsyncHTTPTransport(trust_env=False, limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        _check_parts(url)
        failure: httpx.ConnectError | None = None
        for address in await self._addresses(url):
            try:
                return await self._transport.handle_async_request(_directed(request, address))
            except httpx.ConnectError as error:  # the next address may answer
                failure = error
        raise failure or httpx.ConnectError(f"{url.host} has no address")

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _addresses(self, url: httpx.URL) -> Sequence[str]:
        try:
            host = url.raw_host.decode("ascii")
            addresses = await self._resolve(host, url.port or _PORTS[url.scheme])
        except (OSError, UnicodeError) as error:
            raise InvalidInput(f"The name {url.host[:200]!r} cannot be resolved.") from error
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise InvalidInput(
                f"{url.host[:200]!r} is not on the public internet. Pages of an own network are "
                "imported on the command line: kefu kb import URL --allow-private."
            )
        return addresses


def _directed(request: httpx.Request, address: str) -> httpx.Request:
    """The same request to an address. Its `Host` and the name its certificate must have stay."""
    extensions = {**request.extensions, "sni_hostname": request.url.raw_host.decode("ascii")}
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions=extensions,
    )


def _checked_url(url: str) -> str:
    """The URL without its fragment. Raises `InvalidInput`."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise InvalidInput(f"{url[:200]!r} is no URL.") from error
    _check_parts(parsed)
    name = str(parsed.copy_with(fragment=None))
    if len(name) > MAX_SOURCE:
        raise InvalidInput(f"The URL has {len(name)} characters; {MAX_SOURCE} are allowed.")
    return name


def _check_parts(url: httpx.URL) -> None:
    if url.scheme not in _PORTS:
        raise InvalidInput(f"{str(url)[:200]!r} is no http or https URL.")
    if url.userinfo:
        raise InvalidInput("A URL with a user name or a password is not fetched.")
    if not url.host:
        raise InvalidInput(f"{str(url)[:200]!r} names no host.")


def _kind(response: httpx.Response, name: str) -> Kind:
    if response.status_code != HTTPStatus.OK:
        raise InvalidInput(f"{name} answered with status {response.status_code}.")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise InvalidInput(f"{name} is sent compressed, though that was not asked for.")
    said = _content_type(response).get_content_type().lower()
    by_name = find_kind(str(response.url)) or find_kind(name)
    kind = (by_name if said in _VAGUE else None) or _KINDS.get(said)
    if kind is None:
        raise InvalidInput(f"{name} is of the type {said[:80]!r}, which is not read.")
    return kind


def _content_type(response: httpx.Response) -> Message:
    message = Message()
    message["Content-Type"] = response.headers.get("content-type", "application/octet-stream")
    return message


async def _body(response: httpx.Response, name: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_raw():
        size += len(part)
        if size > MAX_DOCUMENT_BYTES:
            raise InvalidInput(f"{name} is larger than {MAX_DOCUMENT_BYTES // MIB} MB.")
        parts.append(part)
    return b"".join(parts)


def _as_utf8(content: bytes, kind: Kind, response: httpx.Response) -> bytes:
    """A text as the server says it is encoded; where that does not fit, as it came."""
    charset = _content_type(response).get_content_charset()
    if not charset or kind not in _TEXTS:
        return content
    try:
        return content.decode(codecs.lookup(charset).name).encode()
    except (LookupError, UnicodeError):
        return content


def _reason(error: httpx.HTTPError) -> str:
    return (str(error) or type(error).__name__)[:200]

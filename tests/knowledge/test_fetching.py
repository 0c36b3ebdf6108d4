"""Pages are fetched from the public internet, and nobody leads kefu anywhere else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kefu.errors import InvalidInput
from kefu.knowledge import fetching
from kefu.knowledge.fetching import fetch, is_public


@dataclass
class Site:
    """A real server on loopback: what it answers by path, and what it was asked."""

    port: int = 0
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def url(self, path: str, host: str = "shop.example") -> str:
        return f"http://{host}:{self.port}{path}"

    def say(self, path: str, content: bytes, kind: str = "text/html", **headers: str) -> None:
        self.answers[path] = (200, {"Content-Type": kind, **headers}, content)

    def redirect(self, path: str, to: str) -> None:
        self.answers[path] = (302, {"Location": to}, b"")


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.headers["Host"], self.path))
            status, headers, content = site.answers.get(self.path, (404, {}, b"nothing"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@dataclass
class Names:
    """A resolver: each name's addresses, one list for each time that it is asked for."""

    answers: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("unknown")
        given = self.answers[host]
        return given.pop(0) if len(given) > 1 else given[0]


@pytest.fixture
def treated_as_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' server stands on loopback: 127.0.0.1 plays the public internet with 127.0.0.3,
    where nobody listens; all other addresses are what they are."""
    played = ("127.0.0.1", "127.0.0.3")
    monkeypatch.setattr(fetching, "is_public", lambda a: a in played or is_public(a))


PUBLIC = Names({"shop.example": [["127.0.0.1"]]})


@pytest.mark.usefixtures("treated_as_public")
class TestFetching:
    async def test_a_page_is_named_by_its_url(self, site: Site) -> None:
        site.say("/help?a=1", "退货".encode())
        file = await fetch(site.url("/help?a=1#part"), resolve=PUBLIC)
        assert (file.name, file.kind) == (site.url("/help?a=1"), "web_page")
        assert file.content.decode() == "退货"
        assert site.asked == [(f"shop.example:{site.port}", "/help?a=1")]

    @pytest.mark.parametrize(
        ("path", "said", "kind"),
        [
            ("/a", "application/pdf", "pdf"),
            ("/a.docx", "application/octet-stream", "word"),
            ("/a.md", "text/plain; charset=utf-8", "markdown"),
            ("/a", "text/plain", "plain_text"),
            ("/a.csv", "text/csv", "table"),
        ],
    )
    async def test_kinds(self, site: Site, path: str, said: str, kind: str) -> None:
        site.say(path, b"x", said)
        assert (await fetch(site.url(path), resolve=PUBLIC)).kind == kind

    async def test_texts_are_decoded_as_the_server_says(self, site: Site) -> None:
        site.say("/a", "退貨".encode("big5"), "text/html; charset=Big5")
        assert (await fetch(site.url("/a"), resolve=PUBLIC)).content.decode() == "退貨"

    async def test_redirects_are_followed_a_few_times(self, site: Site) -> None:
        site.redirect("/a", "/b")
        site.redirect("/b", site.url("/c", "www.shop.example"))
        site.say("/c", b"found")
        names = Names({"shop.example": [["127.0.0.1"]], "www.shop.example": [["127.0.0.1"]]})
        file = await fetch(site.url("/a"), resolve=names)
        assert (file.name, file.content) == (site.url("/a"), b"found")
        assert names.asked == ["shop.example", "shop.example", "www.shop.example"]
        site.redirect("/round", "/round")
        with pytest.raises(InvalidInput, match="redirects more than 5 times"):
            await fetch(site.url("/round"), resolve=PUBLIC)

    async def test_a_redirect_into_the_own_network_is_not_followed(self, site: Site) -> None:
        site.say("/secret", b"secret")
        for host in ("127.0.0.2", "internal.example", "[::ffff:10.0.0.1]", "localhost"):
            site.redirect("/a", site.url("/secret", host))
            names = Names(
                {
                    "shop.example": [["127.0.0.1"]],
                    "127.0.0.2": [["127.0.0.2"]],
                    "internal.example": [["192.168.1.1"]],
                    "::ffff:10.0.0.1": [["::ffff:10.0.0.1"]],
                    "::ffff:a00:1": [["::ffff:10.0.0.1"]],
                    "localhost": [["::1"]],
                }
            )
            with pytest.raises(InvalidInput, match="not on the public internet"):
                await fetch(site.url("/a"), resolve=names)
        assert {path for _, path in site.asked} == {"/a"}

    async def test_one_private_address_among_public_ones_is_enough(self, site: Site) -> None:
        names = Names({"shop.example": [["127.0.0.1", "10.0.0.1"]]})
        with pytest.raises(InvalidInput, match="not on the public internet"):
            await fetch(site.url("/a"), resolve=names)
        assert site.asked == []

    async def test_a_name_that_changes_its_address_is_asked_once(self, site: Site) -> None:
        """Rebinding: public when it is looked at, private a moment later."""
        site.say("/a", b"public")
        names = Names({"shop.example": [["127.0.0.1"], ["127.0.0.2"]]})
        assert (await fetch(site.url("/a"), resolve=names)).content == b"public"
        assert names.asked == ["shop.example"]
        site.redirect("/b", "/a")  # and at the next step the new address is looked at
        names = Names({"shop.example": [["127.0.0.1"], ["127.0.0.2"]]})
        with pytest.raises(InvalidInput, match="not on the public internet"):
            await fetch(site.url("/b"), resolve=names)

    async def test_the_next_address_is_tried_where_one_does_not_answer(self, site: Site) -> None:
        site.say("/a", b"found")
        names = Names({"shop.example": [["127.0.0.3", "127.0.0.1"]]})
        assert (await fetch(site.url("/a"), resolve=names)).content == b"found"

    async def test_proxies_of_the_environment_are_ignored(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        site.say("/a", b"direct")
        assert (await fetch(site.url("/a"), resolve=PUBLIC)).content == b"direct"

    async def test_what_is_no_document(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        site.say("/pic", b"x", "image/png")
        site.say("/zip", b"x", "text/html", **{"Content-Encoding": "gzip"})
        for path, says in (
            ("/none", "status 404"),
            ("/pic", "'image/png'"),
            ("/zip", "compressed"),
        ):
            with pytest.raises(InvalidInput, match=says):
                await fetch(site.url(path), resolve=PUBLIC)
        monkeypatch.setattr(fetching, "MAX_DOCUMENT_BYTES", 10)
        site.say("/big", b"x" * 11)
        with pytest.raises(InvalidInput, match="larger than"):
            await fetch(site.url("/big"), resolve=PUBLIC)

    async def test_a_server_that_says_nothing_is_left(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fetching, "FETCH_SECONDS", 0.05)

        async def never(host: str, port: int) -> Sequence[str]:
            await asyncio.Event().wait()
            return [host]

        with pytest.raises(InvalidInput, match=r"did not arrive within 0\.05 s"):
            await fetch(site.url("/a"), resolve=never)


async def test_loopback_needs_the_operators_word(site: Site) -> None:
    site.say("/a", b"own")
    url = site.url("/a", "127.0.0.1")
    with pytest.raises(InvalidInput, match="--allow-private"):
        await fetch(url)
    assert site.asked == []
    assert (await fetch(url, allow_private=True)).content == b"own"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://shop.example/a", "no http or https URL"),
        ("file:///etc/passwd", "no http or https URL"),
        ("shop.example", "no http or https URL"),
        ("http://user:secret@shop.example/", "user name or a password"),
        ("http:///path", "names no host"),
        ("http://[::1", "no URL"),
        ("http://unknown.example/", "cannot be resolved"),
        ("http://shop.example/" + "a" * 500, "characters; 500 are allowed"),
    ],
)
async def test_urls_that_are_not_taken(url: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        await fetch(url, resolve=Names({}))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost", "[::1]", "0"])
async def test_other_spellings_of_loopback(site: Site, host: str) -> None:
    with pytest.raises(InvalidInput, match=r"not on the public internet|cannot be resolved"):
        await fetch(site.url("/a", host))
    assert site.asked == []


_PRIVATE = (
    "127.0.0.1 10.1.1.1 172.16.0.1 192.168.0.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 "
    "255.255.255.255 240.0.0.1 192.0.0.8 198.18.0.1 203.0.113.1 192.88.99.1 ::1 :: "
    "::ffff:127.0.0.1 2002:7f00:1:: 64:ff9b::7f00:1 64:ff9b:1::1 fe80::1 fe80::1%lo fc00::1 "
    "fd00:ec2::254 ff02::1 2001:db8::1 2001::1 3fff::1 ::7f00:1 5f00::1 fec0::1 "
    "2606:4700::1%eth0 text"
)


@pytest.mark.parametrize("address", _PRIVATE.split())
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808"],
)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)

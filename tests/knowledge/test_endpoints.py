"""`/api/knowledge` of a whole desk: imports, entries, sources."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES
from tests.knowledge.documents.making import pdf, pdf_of_many_pages, word, workbook

CSV = "id,question,answer,tags\nreturn,怎么退货？,点退货,售后\ninvoice,怎么开发票？,点开票,\n".encode()
MARKDOWN = "# 退货政策\n\n七天内可以退货。\n\n## 运费\n\n运费由买家承担。\n".encode()


class Desk:
    """The management API with its key."""

    def __init__(self, client: httpx.AsyncClient, key: str) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}

    async def call(self, method: str, path: str, expect: int = 200, **more: object) -> dict:
        response = await self._client.request(
            method, f"/api/knowledge{path}", headers=self._headers, **more
        )
        assert response.status_code == expect, response.text
        return response.json() if response.content else {}

    async def load(self, name: str, content: bytes, expect: int = 200, **params: object) -> dict:
        query = {"name": name, **params}
        return await self.call("POST", "/import", expect, params=query, content=content)

    async def ids(self, **params: object) -> list[str]:
        found = await self.call("GET", "/entries", params=params)
        return [entry["id"] for entry in found["entries"]]


@pytest.fixture
def desk(app: FastAPI, client: httpx.AsyncClient) -> Desk:
    return Desk(client, app.state.services.keys.create("admin"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", MARKDOWN),
        ("a.html", b"<h1>Returns</h1><p>Within seven days.</p>"),
        ("a.txt", "第一章 退货\n七天内可以退货。\n".encode()),
        ("a.pdf", pdf([[(20, "Returns"), (11, "Within seven days.")]])),
        ("a.docx", word(("Heading 1", "退货"), ("Normal", "七天内可以退货。"))),
        ("a.xlsx", workbook(FAQ=[["question", "answer"], ["怎么退货", "点退货"]])),
    ],
)
async def test_every_kind_of_file_is_imported(desk: Desk, name: str, content: bytes) -> None:
    report = await desk.load(name, content)
    assert report["added"] == len(await desk.ids(source=name)) > 0
    assert (await desk.load(name, content))["unchanged"] == report["added"]


async def test_a_dry_run_shows_every_change_and_makes_none(desk: Desk) -> None:
    await desk.load("a.md", MARKDOWN)
    changed = MARKDOWN.decode().replace("买家", "卖家").encode()
    report = await desk.load("a.md", changed, dry_run=True)
    assert (report["changed"], report["unchanged"], report["version"]) == (1, 1, 1)
    (change,) = report["sources"][0]["changes"]
    assert (change["change"], change["question"]) == ("changed", "退货政策 > 运费")
    assert change["was"]["answer"] == "运费由买家承担。"
    found = await desk.call("GET", "/entries", params={"text": "买家"})
    assert found["total"] == 1


async def test_rows_that_are_gone_go_on_demand(desk: Desk) -> None:
    await desk.load("faq.csv", CSV)
    less = b"id,question,answer\nreturn,q,a\n"
    assert (await desk.load("faq.csv", less))["kept"] == 1
    assert (await desk.load("faq.csv", less, replace=True))["removed"] == 1
    assert await desk.ids() == ["return"]


async def test_what_cannot_be_imported_is_told_and_changes_nothing(desk: Desk) -> None:
    for name, content, says in (
        ("a.doc", b"x", "Save it as .docx"),
        ("a.pdf", b"x", "no PDF"),
        ("a.pdf", pdf_of_many_pages(10_000), "10,000 pages"),
        ("a.md", b" ", "is empty"),
        ("a.csv", b"", "body is empty"),
    ):
        assert says in (await desk.load(name, content, 422))["detail"]
    await desk.load("faq.csv", CSV)
    taken = await desk.load("other.csv", CSV, 422)
    assert "'return' of other.csv is in faq.csv" in taken["detail"]
    assert (await desk.call("GET", ""))["version"] == 1


async def test_a_body_that_is_too_large(desk: Desk) -> None:
    await desk.load("a.pdf", b"x" * (MAX_DOCUMENT_BYTES + 1), 413)


async def test_the_desk_answers_while_it_imports(desk: Desk, client: httpx.AsyncClient) -> None:
    """A reader that needs its time blocks nobody: a request that came later is answered first."""
    large = (
        "# 退货\n\n" + "\n\n".join(f"第{n}条，七天内可以退货。" for n in range(3_000))
    ).encode()
    importing = asyncio.create_task(desk.load("a.md", large, dry_run=True))
    await asyncio.sleep(0)
    assert (await client.get("/livez")).status_code == 200
    assert not importing.done()
    assert (await importing)["added"] > 20


async def test_entries_are_listed_by_page_and_by_what_they_are(desk: Desk) -> None:
    await desk.load("faq.csv", CSV)
    await desk.load("a.md", MARKDOWN)
    first = await desk.call("GET", "/entries", params={"limit": 3})
    assert (first["total"], first["offset"], len(first["entries"])) == (4, 0, 3)
    assert len(await desk.ids(limit=3, offset=3)) == 1
    assert await desk.ids(kind="faq") == ["invoice", "return"]
    assert await desk.ids(tag="售后") == ["return"]
    assert await desk.ids(text="发票") == ["invoice"]
    assert len(await desk.ids(source="a.md", language="zh", kind="passage")) == 2
    assert await desk.ids(enabled=False) == []
    await desk.call("GET", "/entries", 422, params={"limit": 0})


async def test_an_entry_is_read_put_edited_and_deleted(desk: Desk) -> None:
    body = {"question": " 怎么付款？ ", "answer": "微信", "valid_until": "2026-12-31"}
    made = await desk.call("PUT", "/entries/pay", 201, json=body)
    assert (made["question"], made["language"], made["source"]) == ("怎么付款？", "zh", "")
    assert await desk.call("GET", "/entries/pay") == made
    changes = {"valid_until": None, "enabled": False, "alternatives": ["付款方式", "付款方式"]}
    edited = await desk.call("PATCH", "/entries/pay", json=changes)
    assert edited == {**made, "valid_until": None, "enabled": False, "alternatives": ["付款方式"]}
    replaced = await desk.call("PUT", "/entries/pay", json={"question": "q", "answer": "a"})
    assert (replaced["language"], replaced["enabled"]) == ("en", True)
    await desk.call("DELETE", "/entries/pay", 204)
    for method, more in (("GET", {}), ("DELETE", {}), ("PATCH", {"json": {"answer": "x"}})):
        assert "no entry 'pay'" in (await desk.call(method, "/entries/pay", 404, **more))["detail"]


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": ""},
        {"answer": "  "},
        {"kind": "passage"},
        {"language": "fr"},
        {"valid_from": "soon"},
        {"tags": ["x" * 65]},
        {"valid_from": "2026-02-02", "valid_until": "2026-02-01"},
        {"question": None},
    ],
)
async def test_an_entry_is_not_made_wrong(desk: Desk, changes: dict[str, object]) -> None:
    await desk.load("faq.csv", CSV)
    before = await desk.call("GET", "/entries/return")
    await desk.call("PATCH", "/entries/return", 422, json=changes)
    await desk.call("PUT", "/entries/a b", 422, json={"question": "q", "answer": "a"})
    assert await desk.call("GET", "/entries/return") == before


async def test_sources_are_counted_and_deleted(desk: Desk) -> None:
    await desk.load("faq.csv", CSV)
    await desk.load("a.md", MARKDOWN)
    counted = (await desk.call("GET", "/sources"))["sources"]
    assert counted == [
        {"source": "a.md", "entries": 2, "faq": 0, "passage": 2, "disabled": 0},
        {"source": "faq.csv", "entries": 2, "faq": 2, "passage": 0, "disabled": 0},
    ]
    assert await desk.call("DELETE", "/sources", params={"name": "a.md"}) == {"removed": 2}
    await desk.call("DELETE", "/sources", 404, params={"name": "a.md"})
    await desk.call("DELETE", "/sources", 422)
    assert len(await desk.ids()) == 2


async def test_pages_of_the_own_network_are_not_fetched(desk: Desk) -> None:
    for url in ("http://127.0.0.1:1/", "http://169.254.169.254/latest", "http://[::1]/"):
        found = await desk.call("POST", "/import-url", 422, json={"url": url})
        assert "not on the public internet" in found["detail"]
    await desk.call(
        "POST", "/import-url", 422, json={"url": "http://127.0.0.1", "allow_private": 1}
    )

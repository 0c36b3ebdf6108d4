"""API keys in SQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from kefu.http.auth import ApiKeys
from kefu.settings import Settings
from kefu.stores.keys import SqlKeys
from kefu.stores.opening import open_database


def test_of_desks_that_start_together_one_makes_the_first_key(settings: Settings) -> None:
    def start(_: int) -> str | None:
        with open_database(settings.database_at) as database:
            return ApiKeys(SqlKeys(database)).create_first("admin", "made at the first start")

    open_database(settings.database_at).close()  # with its tables
    with ThreadPoolExecutor(8) as desks:
        made = [key for key in desks.map(start, range(8)) if key is not None]
    with open_database(settings.database_at) as database:
        keys = ApiKeys(SqlKeys(database))
        assert [key.role for key in keys.all()] == ["admin"]
        (key,) = made
        assert keys.require("admin", f"Bearer {key}") == keys.all()[0].id
        assert keys.create_first("admin") is None
        assert keys.create_first("chat") is not None
        assert keys.create("admin") != key
        assert len(keys.all()) == 3

"""How import, start, memory, search and changes grow with the number of entries.

    python -m loadtests.knowledge [--sizes 1000 10000 100000] [--search pgvector] [--json] [--compare 200]

Entries are made of products, places and topics, 100,000 different ones, Chinese, each with one
question and an answer of two sentences; all are encoded by the real encoder. Each size is imported
in one process and measured in a second one that starts from the database, so memory is that of a
desk: what the process takes with the knowledge less what it took before, encoder loaded. Searches
are timed one by one without the encoding of the question. `visible_ms` is from the end of the
commit of one changed entry to the snapshot that shows it. `--compare` asks so many questions twice,
with the first look and with every entry scored, and prints the share with the same five entries (and
with the same first). With `--search pgvector` the knowledge is in a PostgreSQL of its own; its tables
and indexes are made when the desk imports, and `memory_mib` is still the desk's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice, product
from pathlib import Path

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from tests.postgres import started_postgres

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.models.resolve import resolve_encoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Index
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.limits import usable_cpus
from kefu.settings import LogSettings, Settings, load_settings
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database, open_search
from kefu.telemetry import Metrics, configure_logging

_SEARCHES = 300
_CHANGES = 20

PRODUCTS = """
电饭煲 吹风机 扫地机器人 空气炸锅 电动牙刷 加湿器 蓝牙耳机 充电宝 机械键盘 显示器 台灯 床垫 羽绒服
运动鞋 牛仔裤 连衣裙 衬衫 毛衣 行李箱 双肩包 保温杯 平底锅 菜刀 洗碗机 净水器 投影仪 音箱 手表 项链
戒指 口红 面霜 洗发水 婴儿车 奶粉 积木 自行车 帐篷 瑜伽垫 跑步机 咖啡机 茶叶 大米 坚果 猫粮 狗窝
鱼缸 花盆 窗帘 地毯
"""
PLACES = """
北京 上海 广州 深圳 成都 重庆 杭州 武汉 西安 南京 天津 苏州 长沙 郑州 青岛 沈阳 宁波 昆明 大连
厦门 合肥 佛山 福州 哈尔滨 济南 温州 长春 石家庄 南宁 贵阳 南昌 太原 兰州 海口 银川 西宁 拉萨
乌鲁木齐 呼和浩特 香港 澳门 台北
"""
TOPICS = [
    ("多久能到", "下单后四十八小时内出库", "路上再要三天左右"),
    ("运费多少钱", "满九十九元包邮", "不满的收八元"),
    ("可以货到付款吗", "这里支持货到付款", "请备好零钱"),
    ("能开专用发票吗", "可以开专用发票", "请填写税号和开户行"),
    ("坏了怎么保修", "保修一年", "请带上购买凭证到服务点"),
    ("不喜欢能退吗", "七天内没有用过可以退", "来回运费由买家承担"),
    ("尺寸不合适怎么换", "在订单里点申请换货", "仓库收到后寄出新的"),
    ("有安装服务吗", "提供上门安装", "师傅会先打电话预约"),
    ("少发了配件怎么办", "请拍下包裹里的东西联系客服", "核实后补寄"),
    ("降价了能补差价吗", "十五天内降价可以申请价保", "差额退到原来的付款方式"),
    ("能改收货地址吗", "出库之前可以修改", "出库以后请联系快递员"),
    ("怎么取消订单", "在我的订单里点取消", "已付的钱原路返回"),
    ("缺货什么时候补", "大约两周后到货", "可以点到货提醒"),
    ("能分期付款吗", "支持三期六期十二期", "前三期没有手续费"),
    ("可以自提吗", "本市有自提点", "凭取件码领取"),
    ("包装破了还能签收吗", "请当着快递员的面验货", "破损可以拒收"),
    ("怎么查物流", "在订单详情点查看物流", "信息每天更新"),
    ("送礼可以不放价格单吗", "下单时勾选礼品包装", "包裹里就没有价格"),
    ("周末送货吗", "周六正常配送", "周日只送加急件"),
    ("能开收据吗", "可以提供电子收据", "会发到您的邮箱"),
    ("批发有优惠吗", "十件以上打九折", "请联系企业客服"),
    ("怎么联系维修点", "打服务热线转二号键", "会告诉您最近的维修点"),
    ("二手能回收吗", "支持以旧换新", "上门估价后抵扣"),
    ("环保补贴怎么领", "下单时选择补贴资格", "审核通过后直接减"),
    ("说明书丢了在哪下载", "官网服务页有电子说明书", "按型号搜索即可"),
    ("怎么激活延保", "收货三十天内登记", "登记后多保一年"),
    ("错发了颜色怎么处理", "我们承担来回运费", "请先拍照上传"),
    ("能加急吗", "付十元加急费", "当天出库"),
    ("要交关税吗", "税费已经含在价格里", "不用另外交"),
    ("生产日期在哪里看", "印在包装底部", "看不清可以问客服"),
    ("怎么用优惠券", "结算时选择优惠券", "每单只能用一张"),
    ("积分怎么算", "每一元积一分", "确认收货后到账"),
    ("能代写贺卡吗", "在备注里写下要写的话", "最多五十个字"),
    ("退款几天到账", "收到退货后两天内处理", "银行卡要再等三天"),
    ("怎么投诉快递", "在售后里选择物流投诉", "一天内有人回复"),
    ("有没有现货", "页面显示有货就是现货", "拍下就会安排"),
    ("能寄到公司前台吗", "地址写清楚公司和楼层", "前台代收也算签收"),
    ("怎么申请试用", "每月一号开放试用名额", "抽中会短信通知"),
    ("价格为什么不一样", "活动期间价格会变", "以付款时为准"),
    ("能指定快递公司吗", "默认发合作快递", "指定要补差价"),
    ("怎么修改发票抬头", "开出之前可以自己改", "开出以后要申请重开"),
    ("旧款还有配件吗", "停产五年内都有配件", "请报型号查询"),
    ("能晚点再发货吗", "备注里写明日期", "最多保留三十天"),
    ("怎么注销会员", "在设置里点注销账户", "积分会一并清空"),
    ("退货要原包装吗", "请保留原包装和标签", "缺少会影响二次销售"),
    ("有质检报告吗", "商品页下方有报告编号", "扫码可以查看"),
    ("怎么预约送货时间", "付款后会弹出时间选项", "可以改一次"),
    ("海外能寄吗", "目前不支持海外地址", "可以寄到转运仓"),
]
OPENINGS = ("", "请问", "你好，", "想问下", "麻烦问一下，")
ENDINGS = ("", "呀", "，急", "，谢谢", "呢")


@dataclass(frozen=True)
class Result:
    """`same_five`: the share of questions whose five best a first look finds; None: not asked."""

    entries: int
    imported_per_second: float
    start_seconds: float
    memory_mib: float
    search_p50_ms: float
    search_p95_ms: float
    visible_p50_ms: float
    visible_max_ms: float
    same_five: float | None
    same_first: float | None


def entries_of(count: int) -> list[Entry]:
    places = list(product(PRODUCTS.split(), PLACES.split(), TOPICS))
    random.Random(7).shuffle(places)
    return [
        Entry(f"e{number}", f"寄到{place}的{thing}{asked}？", f"{thing}{first}。{then}。")
        for number, (thing, place, (asked, first, then)) in enumerate(islice(places, count))
    ]


def questions_of(entries: Sequence[Entry], count: int) -> list[str]:
    """Entries' questions with words around them, and with a word in another place."""
    rng = random.Random(11)
    questions = []
    for entry in rng.choices(entries, k=count):
        to, _, rest = entry.question.rstrip("？").partition("的")
        text = rng.choice((f"{rest}，{to}", f"{to}{rest}", f"{rest}"))
        questions.append(rng.choice(OPENINGS) + text + rng.choice(ENDINGS))
    return questions


class TimedStore(SqlKnowledge):
    """Notes when the last commit was done."""

    saved_at = 0.0

    def save(self, *args, **options):
        version = super().save(*args, **options)
        self.saved_at = time.perf_counter()
        return version


@asynccontextmanager
async def encoder_of(data_dir: Path | None) -> AsyncIterator[BatchedEncoder]:
    settings = load_settings({"data_dir": data_dir})
    model = OnnxEncoder(resolve_encoder(settings).path, usable_cpus())
    async with BatchedEncoder(model, 32, 1024, Metrics()) as encoder:
        yield encoder


async def import_all(where: Path | str, count: int, data_dir: Path | None) -> float:
    """Entries a second, with encoding, commit and index."""
    entries, settings = entries_of(count), settings_of(where)
    async with encoder_of(data_dir) as encoder:
        with open_database(where) as database:
            search = open_search(settings, database, encoder)
            store = SqlKnowledge(database)
            knowledge = await open_knowledge(store, encoder, settings.knowledge, search)
            begun = time.perf_counter()
            await knowledge.import_entries(entries)
            return count / (time.perf_counter() - begun)


def settings_of(where: Path | str) -> Settings:
    """A path is SQLite and searched in memory, a URL is PostgreSQL and searched there."""
    if isinstance(where, Path):
        return load_settings({})
    return load_settings({"database": where, "knowledge": {"search": "pgvector"}})


async def measure(
    where: Path | str, compared: int, data_dir: Path | None
) -> dict[str, float | None]:
    settings = settings_of(where)
    async with encoder_of(data_dir) as encoder:
        await encoder.encode("热身")
        with open_database(where) as database:
            store = TimedStore(database)
            before = psutil.Process().memory_info().rss
            begun = time.perf_counter()
            search = open_search(settings, database, encoder)
            knowledge = await open_knowledge(store, encoder, settings.knowledge, search)
            started = time.perf_counter() - begun
            memory = (psutil.Process().memory_info().rss - before) / 2**20
            searched = await time_searches(knowledge, encoder)
            visible = await time_changes(knowledge, store)
            same = await compare(knowledge, store, encoder, compared) if compared else (None, None)
    return {
        "start_seconds": started,
        "memory_mib": memory,
        "search_p50_ms": statistics.median(searched),
        "search_p95_ms": float(np.percentile(searched, 95)),
        "visible_p50_ms": statistics.median(visible),
        "visible_max_ms": max(visible),
        "same_five": same[0],
        "same_first": same[1],
    }


async def time_searches(knowledge: Knowledge, encoder: BatchedEncoder) -> list[float]:
    questions = questions_of(list(knowledge.entries.values()), _SEARCHES)
    times = []
    for question, vector in zip(questions, await encoder.encode_many(questions), strict=True):
        begun = time.perf_counter()
        await knowledge.search(question, vector, "zh")
        times.append(1000 * (time.perf_counter() - begun))
    return times


async def time_changes(knowledge: Knowledge, store: TimedStore) -> list[float]:
    """Every other one needs new vectors."""
    times: list[float] = []
    knowledge.on_change(lambda *_: times.append(1000 * (time.perf_counter() - store.saved_at)))
    for number, entry in enumerate(
        random.Random(3).choices(list(knowledge.entries.values()), k=_CHANGES)
    ):
        answer = entry.answer + "以页面为准。" if number % 2 else entry.answer
        await knowledge.put_entry(replace(entry, answer=answer, tags=(str(number),)))
    return times


async def compare(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, count: int
) -> tuple[float, float]:
    questions = questions_of(list(knowledge.entries.values()), count)
    vectors = await encoder.encode_many(questions)
    asked = list(zip(questions, vectors, strict=True))
    quick = [[m.relevance for m in await knowledge.search(q, v, "zh")] for q, v in asked]
    index = Index(store.load(encoder.id)[1])
    for one in index._shelves.values():  # made to look at every entry
        one._postings = None
    full = [[m.relevance for m in index.search(q, v, "zh", 5)] for q, v in asked]
    # Answers' vectors are kept shorter in memory than in PostgreSQL.
    same = [np.allclose(a, b, atol=1e-3) for a, b in zip(quick, full, strict=True)]
    first = [np.isclose(a[0], b[0], atol=1e-3) for a, b in zip(quick, full, strict=True)]
    return float(np.mean(same)), float(np.mean(first))


def in_child(*arguments: str) -> str:
    command = [sys.executable, "-m", "loadtests.knowledge", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--compare", type=int, default=0, help="questions asked both ways")
    parser.add_argument("--search", choices=["memory", "pgvector"], default="memory")
    parser.add_argument("--data-dir", type=Path, help="of kefu, for its sentence encoder")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--import-into", type=_where, help=argparse.SUPPRESS)
    parser.add_argument("--measure", type=_where, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    configure_logging(LogSettings(level="warning"))
    if chosen.import_into:
        print(asyncio.run(import_all(chosen.import_into, chosen.sizes[0], chosen.data_dir)))
    elif chosen.measure:
        print(json.dumps(asyncio.run(measure(chosen.measure, chosen.compare, chosen.data_dir))))
    else:
        show([result_of(size, chosen) for size in chosen.sizes], chosen.json)


def _where(given: str) -> Path | str:
    return given if "://" in given else Path(given)


@contextmanager
def place_for(chosen: argparse.Namespace) -> Iterator[str]:
    if chosen.search == "pgvector":
        with started_postgres() as server, server.database() as url:
            yield url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "kefu.db")


def result_of(size: int, chosen: argparse.Namespace) -> Result:
    print(f"{size} ...", file=sys.stderr)
    common = ["--data-dir", str(chosen.data_dir)] if chosen.data_dir else []
    with place_for(chosen) as where:
        rate = in_child("--import-into", where, "--sizes", str(size), *common)
        found = in_child("--measure", where, "--compare", str(chosen.compare), *common)
    return Result(size, round(float(rate), 1), **json.loads(found))


def show(results: Sequence[Result], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    table = Table(*(name.replace("_", " ") for name in asdict(results[0])))
    for result in results:
        table.add_row(*map(_cell, asdict(result).values()))
    Console(width=160).print(table)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()

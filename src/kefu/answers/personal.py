"""Does a text speak of one person's matters? Such questions and answers are never given again.

Better one answer too many written anew than one customer's number in another one's reply: a match
costs a generation, so the patterns are wide. What the shop's own entries say (its hotline, its
address) is nobody's secret: `known` is their text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from kefu.language import CJK

_HAN = f"[{CJK}]"

# The most common surnames, less those that begin everyday words (和, 于, 方, 时, 成, 关, 车, 别).
_SURNAME = (
    "(?:欧阳|上官|司马|诸葛|皇甫|[王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘"
    "蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范廖石金韦贾夏付邹熊孟秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万"
    "钱严覃武戴莫孔向汤])"
)
_MONTH = "(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*"
_MONEY = (
    r"(?:[$€£¥]\s*\d[\d,.]*|\d[\d,.]*\s*(?:元|块|圆|rmb|cny|yuan|usd|dollars?|euros?|eur|pounds?))"
)


def _patterns(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_EMAIL = _patterns(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")

# Numbers in groups; those in one piece are found by their digits.
_NUMBER = _patterns(
    r"\+\d{1,3}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}",
    r"\(?(?<!\d)0\d{2,3}\)?[ -]?\d{3,4}[ -]?\d{4}(?!\d)",
    r"(?<![\d.])\d{3,}(?:[ -]\d{3,})+(?!\d)",
    r"(?<!\d)\(\d{3}\)[ -]?\d{3}[ -]\d{4}(?!\d)",
    r"(?<!\d)\d{3}[.]\d{3,4}[.]\d{4}(?!\d)",
    r"(?<!\d)\d\d(?:[ .-]\d\d){4}(?!\d)",
    r"[零〇一二三四五六七八九幺两]{7,}",
    r"(?:尾号|末四位|后四位|ending (?:in|with))\D{0,4}\d{3,}",
)

# A number of four digits or more beside a word for what it numbers. An amount or a year is none.
_NUMBERED = _patterns(
    r"(?:订单|单号|运单|快递|物流|包裹|工单|发票|合同|会员|卡号|账[号户]|帐[号户]|验证码|取件码|提货码|编号|"
    r"\border|tracking|parcel|ticket|invoice|case|reference|\bref\b|member(?:ship)?|account|\bcode|\bpin\b|"
    r"serial|confirmation|booking)"
    r"[^\d$€£¥]{0,12}?(?<![\d$€£¥满够超])(?P<own>(?!(?:19|20)\d\d[-/.])[a-z]{0,4}-?\d{4,}+(?![\d.,]*\s*(?:元|块|圆|天|日|年|月|个|件|积?分|点|人|"
    r"rmb|cny|yuan|usd|dollars?|points?|days?|%))[\w-]*)"
)

_PLATE = _patterns(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使][A-HJ-NP-Z][·. -]?"
    r"(?=[A-HJ-NP-Z0-9]*\d)[A-HJ-NP-Z0-9]{4,5}[A-HJ-NP-Z0-9挂学警港澳]"
)

_ADDRESS = _patterns(
    rf"{_HAN}{{1,2}}(?:路|街|大道|巷|弄|胡同|村)\s*\d+\s*(?:号|弄|巷|栋)",
    r"\d+\s*(?:号楼|号院|栋|幢|单元|室)(?!内)",
    rf"{_HAN}{{2}}(?:省|市|自治区)\s*{_HAN}{{1,8}}(?:市|区|县|州)\s*{_HAN}{{1,12}}(?:镇|乡|街道|小区|花园|公寓|路|街)",
    rf"(?:我|我家|本人|家)住(?:在)?\s*{_HAN}{{2,}}",
    rf"(?:我|家)的?(?:收货|家庭|新|详细)?(?:地址|住址)(?:是|为|:|在)\s*(?!什么|哪|怎|不|错)[\w{CJK}]{{2,}}",
    r"\bmy (?:new |home |shipping |delivery |billing )?address is\s+(?!wrong|not|incorrect|incomplete)\w+",
    r"\bI live (?:in|at|on|near)\s+\w+",
    r"\bP\.?\s?O\.? box\s*\d+",
)
_STREET = (
    re.compile(
        r"\b\d{1,5}[A-Z]?,?\s+(?:[A-Z][\w'.-]*\s+){1,4}"
        r"(?i:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|pl|"
        r"square|terrace)\b"
    ),
)

_NAME = _patterns(
    rf"我叫(?:{_SURNAME}{_HAN}{{1,2}}|[小老阿]{_HAN}|[a-z]+)",
    rf"我(?:是|姓){_SURNAME}(?:{_HAN}{{1,2}})?(?=$|[^\w{CJK}]|的)",
    rf"(?:名字(?:是|叫)|姓名(?:是|为|[ :])|收[件货]人(?:是|为|叫|[ :])|联系人(?:是|为|叫|[ :])|免贵姓|敝姓|本人)\s*{_SURNAME}{_HAN}?",
    rf"{_SURNAME}{_HAN}{{0,2}}(?:先生|女士|小姐|太太)",
    r"\bmy (?:full |first |last )?name(?:'s| is)\s+(?!not|wrong|spelled|misspelled)\w+",
    r"\b(?:name|recipient|attn|contact|consignee)\s*:\s*[a-z]\w+",
    r"\bI(?:'m| am) called\s+\w+",
)
# Names are told from words by their capitals.
_CAPITAL_NAME = (
    re.compile(r"\b(?:Mr|Mrs|Ms|Miss|Dr)\b\.?\s+[A-Z][a-z]+"),
    re.compile(r"\b[Tt]his is [A-Z][a-z]+(?=[\s,.!]|$)"),
    re.compile(r"\bI(?:'m| am) [A-Z][a-z]+(?:\s+[A-Z][a-z]+)?(?=[,.!]|\s+(?:and|from|here)\b|$)"),
    re.compile(r"\bcall me [A-Z][a-z]+"),
)

_PAID = _patterns(
    rf"(?:付款?|扣款?|花|转账?|充值?|退款?|缴|交|打)(?:了|过|的|我|给|掉|走)[^\d]{{0,4}}{_MONEY}",
    rf"(?:我|被|多|少|已经?|刚刚?)(?:支付|付|扣|花|转|充值|退|收)[^\d]{{0,4}}{_MONEY}",
    rf"\b(?:paid|charged|spent|deducted|transferred|billed|refunded)\b[^\d]{{0,12}}{_MONEY}",
)

_OWN_MATTER = re.compile(
    r"(?:我|俺|本人|咱)[^\n]{0,16}(?:订单|下单|订的|订了|买|购|付|包裹|快递|收到|寄|退|签收|申请|提交|预[约定])|"
    r"\b(?:my|the) (?:\w+ )?(?:order|parcel|package|purchase|delivery|refund|return|payment|shipment|booking)|"
    r"\bI(?:'ve| have|'d| had)? (?:\w+ )?(?:ordered|bought|purchased|paid|received|returned|sent|placed|got|booked)",
    re.IGNORECASE,
)
_DATE = _patterns(
    r"\d{1,2}\s*月\s*\d{1,2}\s*[日号]?",
    r"(?:19|20)\d\d\s*[-/.年]\s*\d{1,2}(?:\s*[-/.月]\s*\d{1,2})?",
    r"(?<![\d/.-])\d{1,2}[/.-]\d{1,2}(?:[/.-]\d{2,4})?(?![\d/.-]|\s*(?:天|日|个|days?|hours?))",
    r"(?<!\d)\d{1,2}[日号](?![线楼院])",
    rf"\b{_MONTH}\.?\s+\d{{1,2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}\b|\bthe \d{{1,2}}(?:st|nd|rd|th)\b",
    r"昨[天晚日]|前[天日]|上(?:周|个?星期|个?礼拜|个?月)|今早|刚才|\b(?:yesterday|last (?:night|week|month|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday))\b",
    r"(?:\d+|[一二两三四五六七八九十几]+)\s*(?:天|周|个?星期|个?月)(?:以|之)?前|\b(?:\d+|a|two|three|four|five|few) (?:days?|weeks?|months?) ago",
)

_TOKEN = re.compile(r"[a-z0-9][a-z0-9_-]*", re.IGNORECASE)
_DAYS = re.compile(r"(?:19|20)\d\d-(?:\d{1,2}-\d{1,2}|(?:19|20)\d\d)")
# Article numbers (WH-1000XM5) and postcodes have fewer digits, telephone numbers at least seven.
_LEAST_DIGITS = 7
_LEAST_CODE = 12

_JOINTS = re.compile(r"[\s()_·.-]+")


def find_personal(text: str, known: str = "") -> str | None:
    """Which kind of personal detail `text` has that is not in `known`; None where it has none."""
    folded = unicodedata.normalize("NFKC", text)
    entries = _joined(unicodedata.normalize("NFKC", known))
    for kind, details in _DETAILS:
        if any(_joined(detail) not in entries for detail in details(folded)):
            return kind
    return None


def _joined(text: str) -> str:
    """Without what people put between the digits of a number."""
    return _JOINTS.sub("", text).casefold()


def _found(*groups: tuple[re.Pattern[str], ...]) -> Callable[[str], Iterator[str]]:
    patterns = [pattern for group in groups for pattern in group]
    return lambda text: (match.group() for p in patterns for match in p.finditer(text))


def _codes(text: str) -> Iterator[str]:
    """Order and tracking numbers, telephone, card and identity numbers in one piece."""
    for match in _TOKEN.finditer(text):
        if _DAYS.fullmatch(match.group()):
            continue
        digits = sum(character.isdigit() for character in match.group())
        is_long_code = len(match.group()) >= _LEAST_CODE and digits >= len(match.group()) // 3
        if digits >= _LEAST_DIGITS or is_long_code:
            yield match.group()


def _numbered(text: str) -> Iterator[str]:
    return (match.group("own") for p in _NUMBERED for match in p.finditer(text))


def _own_dates(text: str) -> Iterator[str]:
    """Dates in a text about the customer's own order: "when does a sale end" has none."""
    return _found(_DATE)(text) if _OWN_MATTER.search(text) else iter(())


_DETAILS: tuple[tuple[str, Callable[[str], Iterator[str]]], ...] = (
    ("number", _codes),
    ("number", _found(_NUMBER)),
    ("numbered thing", _numbered),
    ("e-mail address", _found(_EMAIL)),
    ("licence plate", _found(_PLATE)),
    ("address", _found(_ADDRESS, _STREET)),
    ("name", _found(_NAME, _CAPITAL_NAME)),
    ("amount paid", _found(_PAID)),
    ("date of one's own order", _own_dates),
)

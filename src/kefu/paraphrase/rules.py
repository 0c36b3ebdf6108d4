"""What the verifier knows of words, as data. Patterns are matched in folded (lower-case) text."""

from __future__ import annotations

import re


def _patterns(*poles: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pole) for pole in poles)


# Things a question can only be about one of. Two texts that name different poles of an axis, and
# share none, ask different things. The list is general retail and account talk, written by hand.
AXES: tuple[tuple[re.Pattern[str], ...], ...] = (
    # What is done
    _patterns(
        r"取消(?!不了)|撤销|cancel",
        r"恢复|重新激活|还原|restore|reactivat|reinstat",
        r"修改|更改|变更|改成|\bchange|modify|edit\b",
    ),
    _patterns(
        r"开启|打开|启用|开通|激活|\benabl|turn on|switch on|activat",
        r"关闭|停用|禁用|关掉|关停|disabl|turn off|switch off|deactivat",
    ),
    _patterns(r"(?<!解除)绑定|\blink\b|\bbind", r"解绑|解除绑定|unlink|unbind"),
    _patterns(
        r"注册|开户|sign up|register|create (?:an? )?account",
        r"注销|销户|删除(?:我的)?(?:账|帐)[号户]|(?:delete|close) (?:my |the |an )?account",
    ),
    _patterns(r"添加|新增|增加|追加|加购|\badd\b|\badding", r"删除|移除|减少|删掉|delete|remov"),
    _patterns(r"(?<!不)订阅|\bsubscrib", r"退订|取消订阅|unsubscrib"),
    _patterns(r"充值|top up|recharge", r"提现|取现|withdraw|cash out"),
    _patterns(r"(?:购|想|要|能)买|购买|下单|\bbuy\b|purchas", r"出售|转卖|卖给|\bsell\b|resell"),
    _patterns(r"升级|upgrad", r"降级|downgrad"),
    _patterns(
        r"提前|提早|加急|催|earlier|expedit|rush",
        r"延[迟后期]|推迟|晚点|暂缓|postpone|delay|hold (?:my|the)",
    ),
    _patterns(
        r"退货|退款|退钱|\breturn|refund",
        r"换货|换成|调换|更换|exchang|swap",
        r"维修|修理|返修|repair",
    ),
    _patterns(r"赠送|送给|转赠|\bgift\b|send .* as a gift", r"领取|\bclaim\b|redeem"),
    # When in the order's life
    _patterns(
        r"(?:发货|出库|寄出)(?:之|以)?前|[未没](?:有)?发货|before (?:it|the order|my order|they|you)?\s*(?:is |has |been |gets? )*ship",
        r"(?:发货|出库|寄出)(?:了|之|以)?后|已(?:经)?(?:发货|出库|寄出)|after (?:it|the order|my order)?\s*(?:is |has |been |gets? )*ship|(?:already|been) (?:been )?shipped",
    ),
    _patterns(
        r"(?:付款|支付|下单)(?:之|以)?前|未(?:付款|支付)|没(?:付款|支付)|before (?:i )?(?:pay|order|check)",
        r"(?:付款|支付|下单)(?:了|之|以)?后|已(?:经)?(?:付款|支付|下单)|after (?:i )?(?:pa(?:y|id)|order|check)",
    ),
    _patterns(
        r"(?:签收|收货|收到)(?:之|以)?前|未(?:签收|收到)|没(?:有)?(?:签收|收到)|before .*deliver|(?:not|n't|never) .*(?:arriv|receiv|deliver)",
        r"(?:签收|收货|收到)(?:了|之|以)?后|已(?:经)?(?:签收|收到|收货)|after .*deliver|(?:already|have) .*(?:arriv|receiv)",
    ),
    # How much, how many
    _patterns(
        r"最[高大多长晚]|上限|max|at most|highest",
        r"最[低小少短早]|下限|\bmin(?:imum)?\b|at least|lowest",
    ),
    _patterns(
        r"全部|整单|所有|\ball\b|entire|whole",
        r"部分|其中一|单件|一部分|\bpart(?:ial)?\b|one item|single item|only one",
    ),
    _patterns(
        r"多[付收扣](?:了)?|重复(?:付款|扣款|支付)|overcharg|charged twice|double[- ]charg",
        r"少[付收发](?:了)?|漏发|undercharg",
    ),
    # Who and where
    _patterns(r"个人", r"企业|公司|单位|对公|business|company|corporate"),
    _patterns(
        r"国内|大陆|境内|domestic", r"国际|海外|国外|境外|港澳台|出国|international|overseas|abroad"
    ),
    _patterns(
        r"线上|网上|在线|online", r"线下|门店|实体店|到店|in[- ]store|in person|physical store"
    ),
    _patterns(r"买家|顾客", r"卖家|商家|seller"),
    _patterns(
        r"手机号|电话号码|phone number|mobile number",
        r"邮箱|电子邮件|e-?mail",
        r"密码|password",
        r"(?:收货|配送)?地址|address",
        r"昵称|用户名|nickname|username",
        r"头像|avatar",
    ),
    # Which of the usual kinds
    _patterns(
        r"微信|wechat",
        r"支付宝|花呗|alipay",
        r"银行卡|信用卡|借记卡|储蓄卡|credit card|debit card|\bcard\b",
        r"货到付款|cash on delivery|\bcod\b",
        r"paypal",
        r"apple pay",
        r"礼品卡|购物卡|gift card",
        r"云闪付|unionpay",
        r"google pay",
        r"klarna|afterpay|分期|instal",
    ),
    _patterns(
        r"顺丰|sf express",
        r"京东",
        r"中通",
        r"圆通",
        r"韵达",
        r"申通",
        r"邮政|\bems\b",
        r"德邦",
        r"极兔",
        r"\bups\b",
        r"fedex",
        r"\bdhl\b",
        r"usps",
    ),
    _patterns(r"专用发票|专票|vat invoice|special invoice", r"普通发票|普票"),
    _patterns(r"电子发票|electronic invoice|e-invoice", r"纸质发票|paper invoice"),
    _patterns(
        r"优惠券|代金券|coupon|voucher|promo",
        r"积分|\bpoints?\b",
        r"红包",
        r"余额|balance",
        r"礼品卡|gift card",
    ),
    _patterns(r"发货|ship(?:ped|s)? out|dispatch", r"到账|退款"),
    _patterns(
        r"生日|birthday", r"新人|新用户|new customer|first order", r"学生|student", r"老客户|老会员"
    ),
)

# What denies. Failing is a denial too: 登录失败 and 登录不了 say the same.
NEGATION = re.compile(
    r"不|没|无法|未|别(?!人|的|家)|失败|\bnot\b|n't\b|\b(?:did|do|does|is|was|has|have|could)nt\b|"
    r"\bcannot\b|\bcant\b|\bnever\b|\bno\b|\bwithout\b|\bunable\b|\bfail"
)
# Words that look like a denial and deny nothing.
NOT_NEGATION = re.compile(
    r"(.)不\1|是不是|有没有|能不能|可不可以|要不要|会不会|行不行|好不好|"
    r"不好意思|不错|不过|不同|不仅|差不多|不管|不知道|不清楚|不懂|不明白|不太会|不会(?=[操用弄])|"
    r"没问题|没关系|未来|对不起|了没有?|[不没](?=\W*$)|"
    r"\bno(?=[. ]\d)|don'?t (?:know|understand)|not sure|no idea|why not|can'?t (?:seem to )?(?:find|figure)"
)

# Somebody else's affairs are never answered as the customer's own.
OTHERS = re.compile(
    r"别人|他人|其他人|人家的|(?:朋友|同事|同学|室友|邻居)的|"
    r"\b(?:someone|somebody|anyone|anybody) else\b|\bother (?:people|person|customer|user)|"
    r"\b(?:friend|neighbou?r|colleague|roommate)'?s\b"
)

# Words between two things that may not change places.
RELATIONS = _patterns(
    r"到|至",
    r"换成|换|转成|转到|转|变成",
    r"比",
    r"喜欢|爱|欠|告|打|借给|送给|传给|卖给|付给",
    r"\bto\b|\binto\b",
    r"\bthan\b",
    r"\bfor\b|\binstead of\b|\bwith\b",
)

# What a part of something means, or how it is read: "the 释 in 爱不释手". Group 1 is the part.
PART = re.compile(
    r"(?:(?:中|里面?|当中)的?|的)[“\"'‘「]?([\u3400-\u9fff]{1,4}?)[”\"'’」]?字?"
    r"(?=是?(?:什么|啥|何)(?:意思|含义)|的?意思|是?指(?:的|什么)|怎么[读念解])"
)

# Japanese words: names and things that are asked about. A single の stands for 的.
JAPANESE = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]{2,}")

# What a question wants to hear.
QUESTION_KINDS: dict[str, re.Pattern[str]] = {
    "time": re.compile(
        r"什么时[候间]|啥时候|何时|几点|哪天|多久|多长时间|几天|几个工作日|几号|时效|期限|"
        r"\bwhen\b|how long|how soon|what time|how many (?:business |working )?days|how fast|how quick"
    ),
    "money": re.compile(
        r"多少钱|多少元|费用|收费|运费|邮费|要钱|价格|贵|how much|cost|\bfees?\b|price|charge"
    ),
    "place": re.compile(r"哪里|哪儿|[在到]哪(?![个家种款些天])|何处|什么地方|\bwhere\b"),
    "choice": re.compile(
        r"哪[个家种款些几]|什么(?:样|类型|牌子)|\bwhich\b|what (?:kind|type|brand)"
    ),
    "person": re.compile(r"谁|\bwho\b"),
    "way": re.compile(r"怎么(?![还不没会])|怎样|如何|咋|how (?:do|can|to|should|would)|steps?\b"),
    "reason": re.compile(r"怎么[还不没会]|为什么|为何|为啥|原因|\bwhy\b|reason"),
}

# Kinds that never answer each other. Others do: "where can I" and "how do I" often mean the same.
DIFFERENT_KINDS = frozenset(
    frozenset(pair)
    for pair in (
        ("time", "money"), ("time", "place"), ("time", "way"), ("time", "person"),
        ("time", "reason"), ("money", "place"), ("money", "person"), ("money", "reason"),
        ("reason", "way"), ("place", "choice"),
        ("reason", "place"), ("reason", "person"),
    )
)  # fmt: skip

# Words that say nothing about what is asked. Longer ones first: each is cut out of the text.
# Denials, numbers and question words are among them because rules of their own compare those.
CHINESE_FILLERS = re.compile(
    r"请问|想问|问一下|咨询|麻烦|操作|你好|您好|怎么办|怎么样|怎么|怎样|如何|咋办|什么时候|什么|多久|多长时间|多少|几天|哪里|哪儿|在哪|"
    r"哪些|哪个|哪种|为什么|为何|为啥|是不是|能不能|可不可以|有没有|要不要|会不会|可以|能够|能否|是否|一下|一个|"
    r"这个|那个|我们|你们|他们|需要|应该|时候|已经|还是|没有|现在|如果|的话|告诉|知道|"
    r"[我你您他她它的了吗呢啊呀吧嘛哦么哈想要能会是在有和跟与或把被给让就都也还又再才到去来上下中里这那个些得地着过后前"
    r"不没很太用做办请几多少哪啥咋]"
)
ENGLISH_FILLERS = frozenset(
    [
        "a",
        "an",
        "the",
        "i",
        "im",
        "ive",
        "id",
        "my",
        "me",
        "mine",
        "you",
        "your",
        "yours",
        "we",
        "our",
        "us",
        "it",
        "its",
        "they",
        "them",
        "their",
        "he",
        "she",
        "his",
        "her",
        "this",
        "that",
        "these",
        "those",
        "there",
        "here",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "do",
        "does",
        "did",
        "doing",
        "done",
        "have",
        "has",
        "had",
        "having",
        "can",
        "could",
        "will",
        "would",
        "shall",
        "should",
        "may",
        "might",
        "must",
        "to",
        "of",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "about",
        "into",
        "as",
        "and",
        "or",
        "but",
        "if",
        "so",
        "than",
        "then",
        "not",
        "no",
        "dont",
        "doesnt",
        "didnt",
        "cant",
        "wont",
        "isnt",
        "havent",
        "hasnt",
        "what",
        "when",
        "where",
        "which",
        "who",
        "whom",
        "whose",
        "why",
        "how",
        "much",
        "many",
        "long",
        "please",
        "hi",
        "hello",
        "hey",
        "get",
        "got",
        "want",
        "need",
        "like",
        "just",
        "still",
        "also",
        "now",
        "already",
        "any",
        "some",
        "one",
        "something",
        "anything",
        "ok",
        "okay",
        "thanks",
        "thank",
        "way",
        "let",
        "make",
        "take",
    ]
)

# Words that mean the same in a shop: where an entry has one, a question may use another.
SYNONYMS: tuple[tuple[str, ...], ...] = (
    ("退款", "退钱"),
    ("账号", "帐号", "账户", "帐户"),
    ("购买", "选购", "下单"),
    ("快递", "物流", "包裹"),
    ("费用", "多少钱", "价钱", "收费"),
    ("运费", "邮费", "快递费"),
    ("优惠券", "优惠卷", "代金券", "折扣券"),
    ("登录", "登陆", "登入"),
    ("修改", "更改", "变更", "改"),
    ("查看", "查询", "查"),
    ("客服", "人工"),
    ("坏了", "损坏", "破损", "故障"),
    ("收到", "签收"),
    ("发货", "寄出", "发出"),
    ("退货", "退回"),
    ("地址", "住址"),
    ("开票", "开发票"),
    ("付款", "支付", "付钱"),
    ("注销", "销户"),
    ("order", "purchase"),
    ("refund", "money back"),
    ("delivery", "shipping", "shipment"),
    ("package", "parcel"),
    ("cost", "price", "fee"),
    ("buy", "purchase"),
    ("broken", "damaged"),
    ("invoice", "receipt"),
    ("coupon", "voucher", "promo code"),
    ("phone", "mobile"),
    ("item", "product", "goods"),
    ("change", "modify", "edit", "update"),
    ("log in", "sign in", "login"),
    ("sign up", "register"),
    ("shop", "store"),
    ("delete", "remove"),
    ("agent", "representative"),
)

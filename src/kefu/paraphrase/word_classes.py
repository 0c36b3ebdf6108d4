"""What the wording of a question is folded by, as data: patterns for folded (lower-case) text.

At each place the first class that fits is taken, in the order of `wording.py`; within a class longer
words stand before shorter ones. General talk, written by hand: no word of a trade.
"""

from __future__ import annotations

# Says nothing about what is asked: greetings, thanks, "does anybody know".
POLITE = (
    r"请问一下|请问下|想请问|请问|我?想问一下|我?想问问|我?想问下|我?想问|我?问一下|问下|"
    r"我?想咨询一下|咨询一下|咨询下|我?想咨询|咨询|我?想了解一下|我?想了解|麻烦您|麻烦|"
    r"请教一下|请教|你们好|您好|你好(?=[\W你您我请想])|谢谢您|谢谢|多谢|谢了|拜托|求助|跪求|急求|"
    r"求告知|求大神|大神|在吗|在么|亲们|亲爱的|各位|大家|谁能告诉我|谁可以告诉我|有?谁知道|有?人知道|"
    r"谁能|谁来|能告诉我|告诉我|我?想知道|我?不知道|求解|知道吗|帮我|帮忙|到底|究竟|具体|一般来说|一般|"
    r"通常|目前|现在|刚刚|刚才|急用|急急|一下|有人|请|"
    r"\bhello\b|\bhi\b|\bplease\b|\bthanks?\b|\b(?:a|an|the|just|so|really|actually)\b"
)

# What is asked for.
ASKED = {
    "blank": r"什么的(?=\w)|(?<=\w)[地的]什么(?=\W*$)",
    "result": r"会(?:怎么?样|如何|咋样)|有?什么(?:后果|影响)|\bwhat happens\b",
    "opinion": r"(?:怎么样|咋样|如何)(?=[啊呀呢]?\W*$)",
    "meaning": (
        r"是?(?:什么|啥|何|神马)个?意思|的?意思是(?:什么|啥)|是?(?:什么|啥)含义|含义是(?:什么|啥)|"
        r"的(?:意思|含义)|指的是(?:什么)?|是指(?:什么)?|\bwhat do(?:es)? .{1,40} mean\b"
    ),
    "reason": (
        r"是?(?:什么|啥)(?:原因|情况)|原因是(?:什么|啥)|是?(?:怎么|咋)回事儿?|(?:怎么|咋)[了啦]|为什么|为何|为啥|为什|为甚么|"
        r"(?:怎么|咋)(?=[会总老还没不又无])|何故|的?原因|\bwhy\b|\bhow come\b"
    ),
    "help": (
        r"(?:该|要|应该)?(?:怎么|咋|怎样|如何)(?:办|处理|解决)|如何是好|有?(?:什么|啥)(?:办法|方法)|"
        r"解决(?:办法|方法)|\bwhat (?:should|can|do) (?:i|we) do\b"
    ),
    "way": (
        r"(?:该|要|应该|应当)?(?:怎么样才|怎样才|怎么才|如何才|怎么样|怎样|怎么|如何|咋样|咋个|咋|怎)"
        r"(?:能够|能|可以|去)?|的(?:方法|步骤|流程)|方法|步骤|"
        r"\bhow (?:do|can|could|would|should|might) (?:i|we|you|one)\b|\bhow to\b|"
        r"\bhow\b(?! (?:long|soon|much|many))"
    ),
    "time": (
        r"什么时候|啥时候|何时|什么时间|啥时间|几时|多会儿?|"
        r"(?:还?要|还?需要|得|过|等)(?:多久|多长时间|多少时间|多长)|"
        r"(?:多久|多长时间|多少时间)(?=才|能|可以|会|到|打|之?后|以后)|(?<=后)(?:多久|多长时间)|"
        r"\bwhen\b|\bwhat time\b|\bhow soon\b"
    ),
    "duration": r"多久|多长时间|多少时间|\bhow long\b",
    "price": (
        r"(?:是|要|需要)?(?:多少钱|什么价格|什么价|啥价|几块钱|多少元)|的?价[格钱]是?(?:多少)?|"
        r"\bhow much\b"
    ),
    "place": (
        r"[在去到]?(?:哪里|哪儿|什么地方|啥地方|[哪那]里(?=能|可以|有|买|下)|哪(?=能|可以|有|买|下))|"
        r"\bwhere\b"
    ),
    "thing": (
        r"是?(?:[什那哪][么个](?:牌子|品牌)|哪一?[个款种家]|有?哪些|什么样|怎么?样的)|"
        r"是?(?:什么|啥|神马|甚么)(?:样|东西)?|\bwhich\b|\bwhat(?:s| is| are)?\b"
    ),
    "person": r"是?谁|\bwho\b",
    "number": r"多少|几(?=[个次天岁号点种只本月年块毛元])|\bhow many\b",
    "whether": (
        r"能不能|可不可以|可以不可以|能否|可否|是否可以|是否能够|是否能|能够|可以|行不行|能不(?!能)|(?<!可)能|"
        r"是不是可以|是不是能|"
        r"\b(?:can|could|may) (?:i|we|you)\b|\bis it possible(?: for me)? to\b|\bam i able to\b"
    ),
}

# May stand for each other in a question.
INTERCHANGEABLE = {
    "cannot": (
        r"不可以|不能够?|无法|没法|没办法|不了|不成功|失败|未能|不可|"
        r"\bcannot\b|\bcant\b|\bunable to\b"
    ),
    "not": r"没有|没|未|木有|不|\bnot\b|\bdont\b",
    "always": r"总是|老是|一直|老(?=[不没出掉显])|经常",
    "change": (r"修改|更改|变更|改变|更换|调整|改|换(?![货算])|\b(?:change|modify|edit|update)\b"),
    "cancel": r"取消|撤销|撤回",
    "borrow": r"借款|借钱|贷款|借贷",
    "telephone": r"手机号码|手机号|电话号码|电话号",
    "account": r"[账帐][号户]",
    "look": r"查看|查询|查(?!收)|\b(?:check|view|see)\b",
    "login": r"登录|登陆|登入|\b(?:log|sign) ?in\b",
    "good": r"比较好|最好|更好|较好|好一点|好一些|好些|好点|好(?=[吗呢啊呀]?\W*$)",
    "like": r"喜欢|喜爱",
    "pretty": r"漂亮|好看|美丽",
    "buy": r"购买|选购|买",
    "pay": r"付款|支付|付钱",
    "refund": r"退款|退钱",
    "fee": r"费用|收费",
    "staff": r"人工|客服",
    "week": r"星期|礼拜|周(?=[一二三四五六日末])",
    "song": r"歌曲|歌",
    "child": r"小孩子|小孩|孩子|宝宝|儿童",
    "girl": r"女生|女孩子|女孩|女人|女的|女性",
    "boy": r"男生|男孩子|男孩|男人|男的|男性",
    "use": r"使用|运用|利用|用",
    "cause": r"导致|造成|引起",
    "get": r"获得|获取|取得|得到",
    "raise": r"提升|提高",
    "show": r"显示|提示",
    "and": r"或者|还是|或|和|跟|与|同时|以及|、|\b(?:and|or)\b",
}
AND = "<and>"
"""What joins two things that may change places."""

# Kept in their order: "you me" is not "me you".
PRONOUNS = {
    "i": r"我们|我|俺|咱们?|本人|\b(?:i|we|me|us|my|our)\b",
    "you": r"你们|您们|你|您|\byour?\b",
}

# Who does it to whom.
VOICE = r"[被给让]"

EMPTY = r"[的吗呢啊呀吧哦嘛哈啦呗噢喔么地]"

# Change a question a little: one more or less is forgiven, more are not.
PARTICLES = (
    r"[了得着过还也都就才又再很挺会要想是有在个这那些里中把到去来下上]|"
    r"\b(?:is|are|be|do|does|did|to|of|in|on|at|for|it|this|that|have|has|will|would|get)\b"
)

# As `rules.AXES`, in general talk.
OPPOSITES = (
    (r"上一|前一(?=[句个])", r"下一|后一", r"这一|本期"),
    (r"今天|今日|今晚", r"明天|明日", r"昨天|昨日", r"后天(?!性)", r"前天"),
    (r"早上|上午|早晨|凌晨", r"下午|中午", r"晚上|夜里|夜晚"),
    (r"春", r"夏", r"秋", r"冬"),
    (r"左", r"右"),
    (r"爸|父亲|爷", r"妈|母亲|奶奶"),
    (r"哥", r"弟", r"姐", r"妹"),
    (r"涨", r"跌|降"),
    (r"英语|英文", r"日语|日文|日本语", r"韩语|韩文", r"法语", r"德语", r"粤语", r"中文|汉语"),
    (r"增肥|变胖", r"减肥|变瘦"),
    (r"男", r"女"),
    (
        r"满前|之前|以前(?!的)|[^目从以之提年天]前(?![台男女提往任景途面])",
        r"之后|以后|[^今然最以之天]后(?![台悔果来面续天])",
    ),
    (r"开始", r"结束"),
)

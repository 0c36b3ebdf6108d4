"""What people say around a question: greetings before it, thanks behind it.

"您好，请问怎么退货呀，谢谢" asks what "怎么退货" asks. Encoder and word statistics cannot know that: of 204
questions of the sample shop in such company 45 were still sure of their entry.

Only what stands at the ends is cut, and only where a question is left. What may be a part of it
stays: 你好 in 你好看吗, "help" in "help with my order".
"""

from __future__ import annotations

import re

from kefu.language import CJK

# 问下 asks to ask, and not in 问下单流程.
_A_BIT = r"(?:一下|下(?![单架载周个]))"
_MARKS = r"[\s,，.。!！?？~～、…:：;；-]"
# Followed by a mark, or by the words that begin a question after it.
_APART = rf"(?={_MARKS}|请|想|我|麻烦)"

_OPENINGS = (
    # Greetings.
    rf"(?:您|你|你们)好[啊呀哈]?{_APART}",
    rf"(?:哈[喽啰]|嗨|嘿|亲(?:爱的)?|客服|[早晚]上好|[上中下]午好|在[吗么嘛不]|在不在|有人[吗么]|客服在吗){_MARKS}",
    r"(?:亲|客服)(?=(?:您|你|请问|想问))",
    # Asking to ask.
    rf"(?:打扰(?:一下|了|下)?|不好意思|抱歉|那个|急问|急|求助|帮我看[看下]|帮忙看[看下]){_MARKS}",
    rf"麻烦(?:您|你)?(?:问|咨询|请教){_A_BIT}|请问{_A_BIT}?|请教{_A_BIT}?",
    rf"我?想(?:问问|(?:问|咨询|请教|了解){_A_BIT}?)|我?(?:问|咨询){_A_BIT}[哈哦]?|我想知道",
    r"\b(?:hi|hello|hey|greetings)(?: there| team| all)?(?=[\s,.!~]|$)|\bgood (?:morning|afternoon|evening|day)(?=[\s,.!~]|$)|\bmorning(?=[!,])",
    r"(?:excuse me|pardon(?: me)?|sorry to (?:bother|disturb|trouble) you|i'?m sorry|help|please)(?=\s*[,.!:-])",
    r"(?:i have )?(?:a|one|just a|just one)? ?(?:quick|short|small|little)? ?(?:question|thing)s?(?=\s*[:,-])",
    r"(?:i was |i'?m )?just wondering(?: if)?(?=[\s,:])",
    r"(?:(?:could|can|would|will) you (?:please |kindly )?(?:tell me|let me know)|may i ask(?: you)?)(?=[\s,:])",
    r"(?:i(?:'d| would) like to know|i want(?:ed)? to (?:know|ask)(?: you)?|i(?:'d| would) like to ask(?: you)?)(?=[\s,:])",
    r"please\b(?=\s+[a-z])",
)
_CLOSINGS = (
    r"(?:非常|十分|万分|太)?(?:谢谢|多谢|感谢|谢了|拜托|麻烦|辛苦|劳烦)(?:您|你|各位|大家)?(?:了|啦|啊|哈|哦|咯)*",
    r"(?:很急|急急+|在线等|急用|挺急的|急)",
    rf"(?<=[{CJK}])[呀哈啊哦嘞](?={_MARKS}*$)",
    r"\b(?:many thanks|thanks?(?: you)?(?: (?:a lot|a million|so much|very much|in advance|again))?|thx|cheers|ta)",
    r"\b(?:please|pls|(?:it(?: is|'s) |very |quite )?urgent)",
)

_AT_START = re.compile(rf"{_MARKS}*(?:{'|'.join(_OPENINGS)}){_MARKS}*", re.IGNORECASE)
# Behind a mark, or where a sentence is over without one: 怎么退货谢谢, "how do I return it thanks".
_AT_END = re.compile(rf"{_MARKS}*(?:{'|'.join(_CLOSINGS)}){_MARKS}*$", re.IGNORECASE)
_SAYS_SOMETHING = re.compile(rf"[{CJK}].*[{CJK}]|[^\W_]{{2}}", re.DOTALL)


def without_courtesies(text: str) -> str:
    """The question in a message. The text as it is where nothing else is said, as in 你好."""
    bare = text
    while found := _AT_START.match(bare):
        bare = bare[found.end() :]
    while found := _AT_END.search(bare):
        mark = re.search(r"[?？]", found.group())
        bare = bare[: found.start()] + (mark.group() if mark else "")
    return bare.strip() if _SAYS_SOMETHING.search(bare) else text

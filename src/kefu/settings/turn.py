"""`[conversation]` and `[replies]`: how a talk goes, and what kefu says in its own words."""

from __future__ import annotations

from pydantic import Field

from kefu.settings.section import Section


class ConversationSettings(Section):
    context_rounds: int = Field(6, ge=0, le=50, description="Earlier rounds the generator sees.")
    context_tokens: int = Field(600, ge=0, description="Token budget of those rounds.")
    idle_seconds: float = Field(3600, gt=0, description="After this silence a talk starts anew.")
    retention_days: float = Field(7, gt=0, description="Transcripts older than this are deleted.")
    max_waiting_per_uid: int = Field(8, ge=1, description="Messages one customer may have waiting.")
    max_per_minute: int = Field(
        0, ge=0, description="Messages one customer may send in a minute; 0: no limit."
    )
    turn_seconds: float = Field(120, gt=0, description="A turn that takes longer is given up.")


class RepliesSettings(Section):
    handoff_zh: str = Field(
        "抱歉，这个问题我没有找到可靠的答案，不想误导您。我已经把它记下来，会有同事来回复您。",
        description="Said when kefu does not know (Chinese).",
    )
    handoff_en: str = Field(
        "Sorry, I have no reliable answer to that and would rather not guess. I have noted your "
        "question for a colleague, who will get back to you.",
        description="Said when kefu does not know (English).",
    )
    busy_zh: str = Field(
        "现在咨询的人很多，我一时来不及细看您的问题。我已经把它记下来，会有同事来回复您；您也可以过一会儿再问我一次。",
        description="Said when too many answers wait to be written (Chinese).",
    )
    busy_en: str = Field(
        "So many people are asking right now that I cannot look into your question. I have noted it "
        "for a colleague, who will get back to you; or ask me again in a little while.",
        description="Said when too many answers wait to be written (English).",
    )
    quote_zh: str = Field(
        "我找到一条相近的问答，供您参考：“{question}”{answer}",
        description="How an entry is quoted that may not be the answer (Chinese).",
    )
    quote_en: str = Field(
        "This is the closest thing I found: “{question}” {answer}",
        description="How an entry is quoted that may not be the answer (English).",
    )
    choices_zh: str = Field(
        "您想问的是下面哪一个？都不是的话，请回复“转人工”，我请同事来回答您。",
        description="How a reply asks back between a few entries (Chinese).",
    )
    choices_en: str = Field(
        "Which of these do you mean? If none of them, reply “human agent” and a colleague will help "
        "you.",
        description="How a reply asks back between a few entries (English).",
    )
    blocked_zh: str = Field(
        "抱歉，这条消息里有不能处理的内容，我没有回答它。如果有订单或商品的问题，请换个说法告诉我。",
        description="Said instead of an answer to a blocked message (Chinese).",
    )
    blocked_en: str = Field(
        "Sorry, this message has content that I cannot deal with, so I have not answered it. If you "
        "have a question about an order or a product, please put it another way.",
        description="Said instead of an answer to a blocked message (English).",
    )
    held_zh: str = Field(
        "这条消息需要同事先看一下，看完我会马上在这里回复您。",
        description="Said at once while a person looks (Chinese).",
    )
    held_en: str = Field(
        "A colleague needs to look at this first. I will reply here as soon as that is done.",
        description="Said at once while a person looks (English).",
    )
    rejected_zh: str = Field(
        "同事看过了，这个请求我们没有办法处理。",
        description="Said after a person rejected a held message (Chinese).",
    )
    rejected_en: str = Field(
        "A colleague has looked at it: this is a request that we cannot help with.",
        description="Said after a person rejected a held message (English).",
    )
    unreviewed_zh: str = Field(
        "抱歉，同事没能及时看到这条消息，所以我没有回答它。请换个说法告诉我，或者回复“转人工”。",
        description="Said when nobody looked in time and `review.on_timeout` is canned (Chinese).",
    )
    unreviewed_en: str = Field(
        "Sorry, no colleague could look at this in time, so I have not answered it. Please put it "
        "another way, or reply “human agent”.",
        description="Said when nobody looked in time and `review.on_timeout` is canned (English).",
    )
    care_zh: str = Field(
        "听到您这样说，我很担心您。您不是一个人：如果现在有危险，请马上拨打 110 或 120；也可以拨打全国统一心理援助热线"
        " 12356，随时有人愿意听您说。我已经请同事尽快联系您。",
        description="Said to a customer who may be in danger; a person is told as well (Chinese).",
    )
    care_en: str = Field(
        "I am worried about you after reading this. You are not alone: if you are in danger now, "
        "please call your local emergency number, or a crisis line where you live (988 in the US, "
        "116 123 in the UK and much of Europe). I have asked a colleague to contact you soon.",
        description="Said to a customer who may be in danger; a person is told as well (English).",
    )
    # Of the shop's questions a base model answered 7 of 14 wrongly below it, none of 4 above.
    copy_score: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Relevance from which a small model may answer from a FAQ entry.",
    )
    # Of the misspelt and reworded shop questions with an entry this near, three in four have the right
    # one first; at 0.33 it is two in three. Where there are several, kefu asks back instead.
    quote_score: float = Field(
        0.35, ge=0, le=1, description="Relevance from which an entry is worth quoting."
    )
    reader: bool = Field(
        True,
        description="Have a second model judge which sentences of the passages answer (49 MB).",
    )
    # Chosen on the tuning half of `kefu generate evaluate`: docs/generation.md.
    tells_score: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Probability from which a sentence is taken to answer: it may be quoted, and a "
        "small trained model may say what it says.",
    )

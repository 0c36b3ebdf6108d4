"""`kefu chat` with the scripted desk: the same contract in a terminal."""

import pytest
from typer.testing import CliRunner

from kefu.cli import app

from .scripted_desk import Desk, answer

CHOICES = [{"id": "fee-zh", "title": "运费是多少"}, {"id": "fee-back-zh", "title": "退货运费谁付"}]


def talk(desk: Desk, *lines: str) -> str:
    typed = "".join(f"{line}\n" for line in lines)
    result = CliRunner().invoke(app, ["chat", "--url", desk.origin], input=typed)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("number", ["1", "2"])
def test_the_number_of_a_choice_asks_its_question(desk: Desk, number: str):
    desk.script(lambda x: x.done("您是不是想问：", source="faq", choices=CHOICES))
    shown = talk(desk, "运费", number)
    assert "1. 运费是多少" in shown
    assert "2. 退货运费谁付" in shown
    assert desk.messages == ["运费", CHOICES[int(number) - 1]["title"]]


@pytest.mark.parametrize("typed", ["0", "3", "２", "²", "第1个"])
def test_anything_else_is_a_message_of_its_own(desk: Desk, typed: str):
    desk.script(lambda x: x.done("您是不是想问：", source="faq", choices=CHOICES))
    talk(desk, "运费", typed)
    assert desk.messages == ["运费", typed]


def test_a_choice_is_offered_for_one_message_only(desk: Desk):
    desk.script(lambda x: x.done("您是不是想问：", source="faq", choices=CHOICES), answer)
    talk(desk, "运费", "算了", "1")
    assert desk.messages == ["运费", "算了", "1"]

"""What the generator is taught: the examples, and how they are put before the model."""

from __future__ import annotations

import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from kefu.generation.tasks import shop_tasks
from tests.bert.small_models import installed

FOLDER = Path(__file__).parents[2] / "training" / "generator"
MODULES = ("examples", "lora", "train")


@pytest.fixture(scope="module")
def on_path() -> Iterator[None]:
    """The folder's scripts import each other by name."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def examples(on_path: None) -> ModuleType:
    return importlib.import_module("examples")


@pytest.fixture(scope="module")
def train(on_path: None) -> ModuleType:
    installed("torch", "transformers", "accelerate")
    return importlib.import_module("train")


def test_one_seed_gives_the_same_examples_and_another_one_others(examples: ModuleType):
    assert examples.contexts(0) == examples.contexts(0)
    assert examples.contexts(0) != examples.contexts(1)


def test_every_slot_has_a_value(examples: ModuleType):
    for context in examples.contexts(3):
        texts = [f"{p.title} {p.text}" for p in context.passages]
        texts += [f"{asked.question} {asked.answer}" for asked in context.asked]
        texts += [" ".join(round_) for round_ in context.rounds]
        assert not [text for text in texts if re.search(r"\{[\w.]+\}", text)]


def test_there_is_enough_of_each_kind_in_both_languages(examples: ModuleType):
    counts = Counter((c.language, a.kind) for c in examples.contexts(0) for a in c.asked)
    kinds = ("answer", "near_miss", "elsewhere", "follow_up", "pair", "ask_back")
    assert all(counts[language, kind] >= 20 for language in ("zh", "en") for kind in kinds)
    unanswered = sum(
        count for (_, kind), count in counts.items() if kind in ("near_miss", "elsewhere")
    )
    assert 0.3 < unanswered / sum(counts.values()) < 0.5


def test_numbers_of_an_answer_stand_in_what_is_read(examples: ModuleType):
    wrong = []
    for context in examples.contexts(0):
        read = " ".join(f"{p.title} {p.text}" for p in context.passages)
        read += " ".join(map(" ".join, context.rounds))
        for asked in context.asked:
            numbers = re.findall(r"\d+", asked.answer or "")
            wrong += [n for n in numbers if n not in read + asked.question]
    assert wrong == []


def test_nothing_that_is_measured_with_is_taught(examples: ModuleType):
    taught = {a.question for c in examples.contexts(0) for a in c.asked}
    shown = {p.text for c in examples.contexts(0) for p in c.passages}
    for task in shop_tasks():
        # "要交押金不" is asked everywhere; what counts is what answers it.
        assert len(task.question) < 8 or task.question not in taught
        assert not {passage.text for passage in task.passages} & shown


def test_questions_of_a_context_are_read_each_for_itself(train: ModuleType):
    """Packed behind one context they get the same numbers as alone behind it."""
    torch = importlib.import_module("torch")
    transformers = importlib.import_module("transformers")
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4, "head_dim": 16}
    config = transformers.Gemma3TextConfig(
        vocab_size=50, num_attention_heads=2, num_key_value_heads=1, sliding_window=4,
        layer_types=["sliding_attention", "full_attention"] * 2, **sizes,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.Gemma3ForCausalLM(config).eval()
    branches = (((7, 8, 9, 10), 2), ((11, 12, 13), 1), ((14, 15, 16, 17, 18), 3))
    row = train.Row((2, 3, 4, 5, 6), branches)

    def logits(rows: list[object]) -> object:
        batch = train.tensors(rows)
        masks = {
            "full_attention": batch.mask(None),
            "sliding_attention": batch.mask(config.sliding_window),
        }
        with torch.no_grad():
            states = model.model(
                input_ids=batch.ids, position_ids=batch.places, attention_mask=masks
            ).last_hidden_state
        which, before, _, _ = batch.answers.unbind(1)
        return model.lm_head(states[which, before])

    together = logits([row, train.Row((2, 3), branches[:1])])
    alone = [train.Row(row.context, (branch,)) for branch in branches]
    apart = torch.cat([logits([one]) for one in [*alone, train.Row((2, 3), branches[:1])]])
    assert torch.allclose(together, apart, atol=1e-5)
    wanted = train.tensors([row]).answers[:, 2].tolist()
    assert wanted == [9, 10, 12, 13, 17, 18]


def test_an_adapter_is_what_llama_cpp_reads(train: ModuleType, tmp_path: Path):
    torch = importlib.import_module("torch")
    gguf = importlib.import_module("gguf")
    lora = importlib.import_module("lora")
    layer = torch.nn.Module()
    for path in lora.GGUF_NAMES:
        parent, _, name = path.rpartition(".")
        if not hasattr(layer, parent):
            setattr(layer, parent, torch.nn.Module())
        setattr(getattr(layer, parent), name, torch.nn.Linear(6, 5, bias=False))
    model = torch.nn.Module()
    model.model = SimpleNamespace(layers=[layer])
    found = lora.add_adapters(model, rank=2, alpha=4.0, seed=0)
    assert len(found) == 7
    adapter = found["blk.0.attn_q.weight"]
    x = torch.ones(1, 6)
    assert torch.equal(adapter(x), adapter.base(x))  # nothing is taught yet
    adapter.b.data.fill_(0.5)
    assert torch.allclose(adapter(x) - adapter.base(x), (x @ adapter.a.T).sum() * torch.ones(1, 5))
    lora.write_gguf(found, tmp_path / "a.gguf", 4.0, {"general.name": "test"})
    reader = gguf.GGUFReader(tmp_path / "a.gguf")
    shapes = {tensor.name: tuple(map(int, tensor.shape)) for tensor in reader.tensors}
    assert shapes["blk.0.attn_q.weight.lora_a"] == (6, 2)  # GGUF counts from the innermost
    assert shapes["blk.0.attn_q.weight.lora_b"] == (2, 5)
    assert reader.fields["adapter.lora.alpha"].contents() == 4.0
    assert reader.fields["adapter.type"].contents() == "lora"

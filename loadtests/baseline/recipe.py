"""The tutorial's customer-service bot: FastAPI, a BERT in PyTorch, llama-cpp-python under a lock, a
JSON file for each user. Written as it is usually taught, and without mistakes on purpose.

    python -m loadtests.baseline.recipe --faq FAQ.jsonl --bert DIR --gguf FILE --users DIR --port N

`FAQ.jsonl`: `{"question", "answer"}` a line. One process: the models are in it.
"""

from __future__ import annotations

import argparse
import json
import threading
from contextlib import suppress
from pathlib import Path

import torch
import uvicorn
from fastapi import FastAPI
from llama_cpp import Llama
from pydantic import BaseModel
from transformers import AutoModel, AutoTokenizer

SURE = 0.8
MAX_TOKENS = 64
CONTEXT_TOKENS = 3072
PASSAGES = 2


class Message(BaseModel):
    uid: str
    message: str
    stream: bool = False


class Bot:
    """Answers one message at a time in each of the framework's threads."""

    def __init__(self, faq: Path, bert: Path, gguf: Path, users: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self.tokenizer = AutoTokenizer.from_pretrained(bert)
        self.bert = AutoModel.from_pretrained(bert).eval()
        self.entries = [json.loads(line) for line in faq.read_text("utf-8").splitlines()]
        self.vectors = torch.cat([self.encode(entry["question"]) for entry in self.entries])
        self.llm = Llama(
            str(gguf), n_ctx=CONTEXT_TOKENS, n_threads=threads, n_gpu_layers=-1, verbose=False
        )
        self.lock = threading.Lock()
        self.users = users

    def encode(self, text: str) -> torch.Tensor:
        batch = self.tokenizer(text, return_tensors="pt", truncation=True)
        with torch.no_grad():
            states = self.bert(**batch).last_hidden_state
        return torch.nn.functional.normalize(states.mean(1))

    def answer(self, message: Message) -> dict[str, str]:
        file = self.users / f"{message.uid}.json"
        history: list[dict[str, str]] = []
        with suppress(FileNotFoundError):
            history = json.loads(file.read_text("utf-8"))
        scores = self.vectors @ self.encode(message.message)[0]
        best = scores.topk(PASSAGES).indices.tolist()
        if float(scores[best[0]]) >= SURE:
            reply, source = self.entries[best[0]]["answer"], "faq"
        else:
            reply, source = self.generate(message.message, best), "model"
        history += [
            {"role": "user", "content": message.message},
            {"role": "assistant", "content": reply},
        ]
        file.write_text(json.dumps(history, ensure_ascii=False, indent=2), "utf-8")
        return {"reply": reply, "source": source}

    def generate(self, question: str, best: list[int]) -> str:
        passages = "\n".join(f"Information: {self.entries[n]['answer']}" for n in best)
        prompt = f"{passages}\nCustomer: {question}\nAgent:"
        with self.lock:
            written = self.llm(prompt, max_tokens=MAX_TOKENS, stop=["\n"], temperature=0.0)
        return str(written["choices"][0]["text"]).strip()


def make_app(bot: Bot) -> FastAPI:
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/chat")
    def chat(message: Message) -> dict[str, str]:
        return bot.answer(message)

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("faq", "bert", "gguf", "users"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    bot = Bot(given.faq, given.bert, given.gguf, given.users, given.threads)
    uvicorn.run(make_app(bot), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()

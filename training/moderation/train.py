"""Makes `src/kefu/moderation/starter/head.npz`, the semantic head that kefu comes with.

    python training/moderation/train.py --data ../shared/data \
        --encoder DATA_DIR/models/use-multilingual-v3/model.onnx

Six minutes on two cores. The same examples give the same head; then `measure.py` says how good it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sources import training_examples

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.moderation.head_file import shipped_head
from kefu.moderation.semantic_figures import CategoryFigures
from kefu.moderation.training import Trained, save, train


def main() -> None:
    options = _options()
    examples = training_examples(options.data)
    print(f"{len(examples):,} examples, {sum(e.is_bad for e in examples):,} of them bad")
    encoder = OnnxEncoder(options.encoder, options.threads)
    trained = train(examples, encoder.encode, encoder.id, on_progress=_say)
    save(trained, options.output)
    _report(trained, options.output)


def _say(done: int, total: int, what: str) -> None:
    if what != "encoding" or done == total:
        print(f"{what}: {done:,} of {total:,}", flush=True)


def _report(trained: Trained, path: Path) -> None:
    found = trained.figures
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB after {trained.seconds:.0f} s")
    print(f"everyday messages held: {found.everyday_held:.2%} of {found.everyday:,}")
    print(
        "category | bad | near misses | AUROC near | AUROC everyday | found | mistaken | ECE | hold"
    )
    for of in found.categories:
        print(_line(of, trained.head.thresholds[of.category].hold))


def _line(of: CategoryFigures, hold: float) -> str:
    return (
        f"{of.category} | {of.bad:,} | {of.near_misses:,} | {of.auroc_near_misses:.3f} | "
        f"{of.auroc_everyday:.3f} | {of.found:.1%} | {of.mistaken:.1%} | "
        f"{of.expected_calibration_error:.3f} | {hold:.3f}"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public data")
    parser.add_argument("--encoder", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--output", type=Path, default=Path(str(shipped_head())))
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()

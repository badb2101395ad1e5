"""The gate before an export: asked by every road, the model must answer as the adapter does here.

What differs in prompt, end mark, weights or settings shows as other token ids, another loss, or other answers.
"""

import itertools
import os
import shutil
from pathlib import Path

from parentcare.manifest import write_json

COLUMNS = ("prompts", "agreement", "logits", "same", "ties", "divergence", "loss", "chrF++")


class ParityError(ValueError):
    """An export that answers differently from what was trained; the message says by which road, and how."""


def compare(road: dict, reference: dict, rows: list[dict], allowed_loss: float | None = None) -> dict:
    """Return one line of the table with `reasons` for a refusal, empty where the road passes.

    Without `allowed_loss` both have the same weights and must answer the same, ties apart; with it the mean losses
    per response token may differ by so many nats. What a server does not tell is None.
    """
    line = dict.fromkeys(("agreement", "logits", "loss")) | _compare_answers(road, reference)
    if "best" in road:
        line["agreement"] = (road["best"] == reference["best"]).float().mean().item()
        line["logits"] = (road["logits"] - reference["logits"]).abs().max().item()
        line["loss"] = road["loss"] - reference["loss"]
    line["chrF++"] = _chrf(road["texts"], rows) - _chrf(reference["texts"], rows)
    line["prompts"], reasons = _compare_prompts(road["prompts"], rows)
    if road.get("eos", reference["eos"]) != reference["eos"]:
        reasons.append(f"generation ends at token {road['eos']}, training ended at {reference['eos']}")
    differing = len(rows) - line["same"] - line["ties"]
    if allowed_loss is None and differing:
        reasons.append(f"{differing} answers differ beyond ties, the first at token {line['divergence']}")
    if allowed_loss is not None and abs(line["loss"]) > allowed_loss:
        reasons.append(f"the loss differs by {line['loss']:+.4f} nats a token, allowed are {allowed_loss:.4f}")
    return line | {"allowed_loss": allowed_loss, "reasons": reasons}


def _chrf(texts: list[str], rows: list[dict]) -> float:
    from sacrebleu.metrics import CHRF

    return CHRF(word_order=2).corpus_score(texts, [[row["summary"] for row in rows]]).score if texts else 0.0


def _compare_prompts(prompts: dict[str, list], rows: list[dict]) -> tuple[int, list[str]]:
    """Return (rows whose prompt is the training's in every kind, reasons): token ids, or a server's count of them."""
    right, reasons = set(range(len(rows))), []
    for kind, found in prompts.items():
        trained = [
            row["prompt"] if isinstance(one, list) else len(row["prompt"]) for row, one in zip(rows, found, strict=True)
        ]
        wrong = [i for i, (one, other) in enumerate(zip(found, trained, strict=True)) if one != other]
        right -= set(wrong)
        if wrong:
            one, other = (str(p[wrong[0]])[:60] for p in (found, trained))
            reasons.append(f"{kind} gives {len(wrong)} prompts other tokens than training did: {one} for {other}")
    return len(right), reasons


def _compare_answers(road: dict, reference: dict) -> dict:
    """Return `same`, `ties` and `divergence` (the first token that differs in any answer, counted from 1)."""
    same, ties, places = 0, 0, []
    for ids, other, near in zip(reference["answers"], road["answers"], reference["near"], strict=True):
        at = next((i for i, (a, b) in enumerate(itertools.zip_longest(ids, other)) if a != b), None)
        if at is None:
            same += 1
            continue
        places.append(at + 1)
        ties += at < min(len(ids), len(other)) and other[at] in near[at]
    return {"same": same, "ties": ties, "divergence": min(places, default=None)}


def format_table(lines: dict[str, dict]) -> str:
    """Return the roads as lines: prompts and answers counted, then differences from the reference."""
    formats = {"agreement": ".1%", "logits": ".1e", "loss": "+.5f", "chrF++": "+.2f"}
    table = [f"{'':<32}" + "".join(f"{name:>12}" for name in COLUMNS) + "  verdict"]
    for name, line in lines.items():
        cells = ["–" if line[c] is None else format(line[c], formats.get(c, "")) for c in COLUMNS]
        table.append(
            f"{name:<32}" + "".join(f"{c:>12}" for c in cells) + ("  REFUSED" if line["reasons"] else "  pass")
        )
    return "\n".join(table)


def pass_or_refuse(lines: dict[str, dict], folders: list[Path]) -> None:
    """Write parity.json into the exported folders where every road passes.

    Else put them aside as <name>.refused and raise ParityError with every reason.
    """
    reasons = [f"{name}: {reason}" for name, line in lines.items() for reason in line["reasons"]]
    for folder in folders:
        write_json(folder / "parity.json", {"passed": not reasons, "roads": lines})
        if reasons:
            refused = folder.with_name(f"{folder.name}.refused")
            shutil.rmtree(refused, ignore_errors=True)
            os.replace(folder, refused)
    if reasons:
        raise ParityError("not exported, because it answers differently from what was trained.\n" + "\n".join(reasons))

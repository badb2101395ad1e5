"""The gate before an export: asked by every road, the model must answer as the adapter does here.

What differs in prompt, end mark, weights or settings shows as other token ids, another loss, or other answers.
"""

import itertools
import os
import shutil
from pathlib import Path

from parentcare.manifest import write_json

FORMATS = {"prompts": "", "agreement": ".1%", "logits": ".1e", "same": "", "ties": "", "divergence": ""}
FORMATS |= {"loss": "+.5f", "chrF++": "+.2f"}


class ParityError(ValueError):
    """An export that answers differently from what was trained; the message says by which road, and how."""


def compare(road: dict, reference: dict, rows: list[dict], allowed_loss: float | None = None) -> dict:
    """Return one line of the table with `reasons` for a refusal, empty where the road passes.

    Without `allowed_loss` both have the same weights and must answer the same, ties apart; with it the mean losses
    per response token may differ by so many nats. What a server does not tell is None.
    """
    from sacrebleu.metrics import CHRF

    line = dict.fromkeys(("agreement", "logits", "loss")) | _compare_answers(road, reference)
    if "best" in road:
        line["agreement"] = (road["best"] == reference["best"]).float().mean().item()
        line["logits"] = (road["logits"] - reference["logits"]).abs().max().item()
        line["loss"] = road["loss"] - reference["loss"]
    summaries = [[row["summary"] for row in rows]]
    chrf, other = (CHRF(word_order=2).corpus_score(one["texts"], summaries).score for one in (road, reference))
    line["chrF++"] = chrf - other
    line["prompts"], reasons = _compare_prompts(road["prompts"], rows)
    if road.get("eos", reference["eos"]) != reference["eos"]:
        reasons.append(f"generation ends at token {road['eos']}, training ended at {reference['eos']}")
    differing = len(rows) - line["same"] - line["ties"]
    if allowed_loss is None and differing:
        reasons.append(f"{differing} answers differ beyond ties, the first at token {line['divergence']}")
    if allowed_loss is not None and abs(line["loss"]) > allowed_loss:
        reasons.append(f"the loss differs by {line['loss']:+.4f} nats a token, allowed are {allowed_loss:.4f}")
    return line | {"allowed_loss": allowed_loss, "reasons": reasons}


def _compare_prompts(prompts: dict[str, list], rows: list[dict]) -> tuple[int, list[str]]:
    """Return (rows whose prompt is the training's in every kind, reasons): token ids, or a server's count of them."""
    wrong, reasons = set(), []
    for kind, found in prompts.items():
        trained = [row["prompt"] if isinstance(found[0], list) else len(row["prompt"]) for row in rows]
        places = [i for i, (one, other) in enumerate(zip(found, trained, strict=True)) if one != other]
        if places:
            wrong.update(places)
            one, other = (str(asked[places[0]])[:60] for asked in (found, trained))
            reasons.append(f"{kind} gives {len(places)} prompts other tokens than training did: {one} for {other}")
    return len(rows) - len(wrong), reasons


def _compare_answers(road: dict, reference: dict) -> dict:
    """Return `same`, `ties` and `divergence` (the first token that differs in any answer, counted from 1)."""
    ties, places = 0, []
    for ids, other, near in zip(reference["answers"], road["answers"], reference["near"], strict=True):
        at = next((i for i, (a, b) in enumerate(itertools.zip_longest(ids, other)) if a != b), None)
        if at is not None:
            places.append(at + 1)
            ties += at < min(len(ids), len(other)) and other[at] in near[at]
    same = len(road["answers"]) - len(places)
    return {"same": same, "ties": ties, "divergence": min(places, default=None)}


def format_table(lines: dict[str, dict]) -> str:
    """Return the roads as lines: prompts and answers counted, then differences from the reference."""
    table = [f"{'':<32}" + "".join(f"{name:>12}" for name in FORMATS) + "  verdict"]
    for name, line in lines.items():
        cells = ["–" if line[column] is None else format(line[column], form) for column, form in FORMATS.items()]
        verdict = "REFUSED" if line["reasons"] else "pass"
        table.append(f"{name:<32}" + "".join(f"{cell:>12}" for cell in cells) + f"  {verdict}")
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

"""Scores of one prediction: overlap with the reference on Kiwi morphemes, and behaviour.

rouge-score's own tokenizer keeps only [a-z0-9]: identical Korean texts score 0 with it. Here it is given Kiwi's
morphemes without particles and endings: with them a weather report beside an abstract has a ROUGE-1 of 0.19,
without them 0.01. ROUGE: Lin (2004). chrF++: Popović (2017), as sacrebleu computes it.
"""

import itertools
import re
import statistics
import unicodedata
from collections.abc import Iterable
from importlib import metadata

from parentcare.data.keywords import load_kiwi

ROUGE_TYPES = ("rouge1", "rouge2", "rougeL")
# a shorter run is shared by any two Korean texts on one topic; the longest names of scales have about seven
RUN_CHARS = 8
# no abstract section among the sample papers repeats more than 5 % of its character 8-grams; one sentence
# said twice and nothing else repeats half of them
REPEATS_ITSELF_SHARE = 0.2
_HAN = "\u2e80-\u2fdf\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
# Korean prose puts a Hanja gloss in brackets: 효(孝). That is no drift.
_GLOSS = re.compile(rf"[(\[（〔][{_HAN}·, ]+[)\]）〕]")
_HAN_RUN = re.compile(rf"[{_HAN}]{{2,}}")


def score_names() -> dict[str, str]:
    """Return key → full name of each overlap score, with its tokenizer and the versions installed."""
    version = {name: metadata.version(name) for name in ("kiwipiepy", "kiwipiepy_model", "rouge_score", "sacrebleu")}
    kiwi = f"Kiwi {version['kiwipiepy']} morphemes without particles and endings, model {version['kiwipiepy_model']}"
    names = {f"rouge{n}": f"ROUGE-{n} F1 ({kiwi}; rouge-score {version['rouge_score']})" for n in "12L"}
    return names | {"chrf": f"chrF++ / 100 (characters and words; sacrebleu {version['sacrebleu']})"}


# --- morphemes ---------------------------------------------------------------------------------


def analyse(texts: Iterable[str]) -> dict[str, list[tuple[str, str]]]:
    """Return text → its (form, tag) pairs without marks, particles and endings; each text is analysed once."""
    distinct = list(dict.fromkeys(texts))
    return {
        # J* are particles, E* endings, S* marks, except foreign words, Hanja and numbers
        text: [(t.form.lower(), t.tag) for t in tokens if t.tag[0] not in "JES" or t.tag in ("SL", "SH", "SN")]
        for text, tokens in zip(distinct, load_kiwi().tokenize(distinct), strict=True)
    }


class MorphemeTokenizer:
    """What rouge-score asks for a text's tokens: a look-up in analyses made beforehand."""

    def __init__(self, analyses: dict[str, list[tuple[str, str]]]):
        self.morphemes = {text: [form for form, _ in pairs] for text, pairs in analyses.items()}

    def tokenize(self, text: str) -> list[str]:
        """Return the text's morphemes."""
        return self.morphemes[text]


# --- all scores of many predictions ------------------------------------------------------------


def score_predictions(rows: list[dict]) -> list[dict]:
    """Return the scores of each row, in order: overlap scores from 0 to 1, then `describe_behaviour`.

    A row has `prediction`, `reference`, `text` and, where known, `ends_with_eos`.
    """
    keys = ("prediction", "reference", "text")
    rows = [row | {key: unicodedata.normalize("NFC", row[key]) for key in keys} for row in rows]
    tokenizer = MorphemeTokenizer(analyse(row[key] for row in rows for key in keys))
    overlap = score_overlap([row["prediction"] for row in rows], [row["reference"] for row in rows], tokenizer)
    return [
        scores
        | describe_behaviour(row["prediction"], row["reference"], row["text"])
        | {"novelty": novelty(tokenizer.tokenize(row["prediction"]), tokenizer.tokenize(row["text"]))}
        | ({"ends_with_eos": bool(row["ends_with_eos"])} if "ends_with_eos" in row else {})
        for row, scores in zip(rows, overlap, strict=True)
    ]


def score_overlap(
    predictions: list[str], references: list[str], tokenizer: MorphemeTokenizer | None = None
) -> list[dict]:
    """Return `rouge1`, `rouge2`, `rougeL` (F1) and `chrf` of each pair, all from 0 to 1."""
    # here, because rouge-score takes over a second to import
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics import CHRF

    tokenizer = tokenizer or MorphemeTokenizer(analyse([*predictions, *references]))
    rouge, chrf = RougeScorer(list(ROUGE_TYPES), tokenizer=tokenizer), CHRF(word_order=2)
    return [
        {name: score.fmeasure for name, score in rouge.score(reference, prediction).items()}
        | {"chrf": chrf.sentence_score(prediction, [reference]).score / 100}
        for prediction, reference in zip(predictions, references, strict=True)
    ]


def mean_scores(scores: list[dict]) -> dict[str, float]:
    """Return the mean of each score; of a yes or no, the rate."""
    return {key: statistics.fmean(row[key] for row in scores) for key in scores[0]}


# --- behaviour ---------------------------------------------------------------------------------


def describe_behaviour(prediction: str, reference: str, text: str) -> dict:
    """Return shares from 0 to 1, and three yes or no; `length_ratio` is in characters, prediction to reference."""
    repeated = repetition(prediction)
    return {
        "empty": not re.search(r"\w", prediction),
        "repetition": repeated,
        "repeats_itself": repeated > REPEATS_ITSELF_SHARE,
        "length_ratio": len(prediction.strip()) / max(1, len(reference.strip())),
        "copied_share": copied_share(prediction, text),
        **script_shares(prediction),
        "chinese_drift": drifts_to_chinese(prediction, text),
    }


def repetition(prediction: str) -> float:
    """Return the share of the prediction's character 8-grams, spaces left out, that it said before."""
    flat, n = re.sub(r"\s+", "", prediction), RUN_CHARS
    ngrams = [flat[i : i + n] for i in range(len(flat) - n + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def copied_share(prediction: str, text: str) -> float:
    """Return the share of the prediction's characters inside runs of 8 or more that the text has; spaces as one."""
    prediction, text = " ".join(prediction.split()), " ".join(text.split())
    windows, copied = {text[i : i + RUN_CHARS] for i in range(len(text) - RUN_CHARS + 1)}, set()
    for i in range(len(prediction) - RUN_CHARS + 1):
        if prediction[i : i + RUN_CHARS] in windows:
            copied.update(range(i, i + RUN_CHARS))
    return len(copied) / len(prediction) if prediction else 0.0


def novelty(prediction: list[str], text: list[str]) -> float:
    """Return the share of the prediction's distinct morpheme bigrams that the text lacks."""
    bigrams = set(itertools.pairwise(prediction))
    return len(bigrams - set(itertools.pairwise(text))) / len(bigrams) if bigrams else 0.0


def script_shares(prediction: str) -> dict[str, float]:
    """Return the shares of Hangul, Han and Latin letters among the prediction's letters."""
    letters = sum(character.isalpha() for character in prediction)
    return {
        f"{script}_share": len(re.findall(f"[{characters}]", prediction)) / max(1, letters)
        for script, characters in (("hangul", _HANGUL), ("han", _HAN), ("latin", "A-Za-zÀ-ɏＡ-Ｚａ-ｚ"))
    }


def drifts_to_chinese(prediction: str, text: str) -> bool:
    """Return whether the prediction has a run of Han characters that is neither a gloss nor in its text."""
    return any(run not in text for run in _HAN_RUN.findall(_GLOSS.sub("", prediction)))

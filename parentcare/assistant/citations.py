"""Does the cited passage bear the sentence out? By rule, whoever wrote it."""

import difflib

from parentcare.assistant.index import Passage
from parentcare.assistant.words import CONTENT_TAGS, tokenize
from parentcare.data.keywords import load_kiwi
from parentcare.data.pairing import split_sentences
from parentcare.evaluation.faithfulness import check_summary

# what a sentence and its passage have to share: nouns, roots, foreign words, numbers
NAMING_TAGS = ("NN", "NR", "XR", "SL", "SH", "SN")
# of a sentence's own, those that the cited passage has: 3 % of the authors' abstract sentences have less in the
# passage that they report, seven in eight less in any other paper's
MIN_SUPPORT = 0.25
# another passage that has this much more of them is the one that should have been cited
WRONG_PASSAGE = 0.2
# from this share of common morphemes on, a sentence is read as a quotation, in which no word may change
QUOTED = 0.8
_DENIALS = ("않", "못", "없", "아니", "안")
# a paper finds; it orders its reader nothing, as a passage may try to have us do
_ORDERS = ("시오", "세요", "라")


def check_claim(sentence: str, cited: list[int], passages: list[Passage]) -> list[str]:
    """Return in Korean why the sentence may not stand with its citations; empty where it may."""
    if not cited:
        return ["인용 번호가 없습니다"]
    if not set(cited) <= set(range(1, len(passages) + 1)):
        return [f"없는 번호를 인용했습니다: {cited}"]
    text = "\n".join(passages[number - 1].text for number in cited)
    others = [p.text for number, p in enumerate(passages, start=1) if number not in cited]
    said, *held = ({w for w in words if w.endswith(NAMING_TAGS)} for words in tokenize([sentence, text, *others]))
    support, *elsewhere = (len(said & words) / max(1, len(said)) for words in held)
    problems = check_against(sentence, text)
    if support < MIN_SUPPORT:
        problems.append(f"인용한 글에 있는 낱말이 {support:.0%}뿐입니다")
    if max(elsewhere, default=0) >= support + WRONG_PASSAGE:
        problems.append("다른 글이 이 문장에 더 가깝습니다")
    return problems


def check_against(sentence: str, text: str) -> list[str]:
    """Return in Korean what the text does not bear out: a changed quotation, a number, a direction, an age group."""
    endings = [form for form, tag in _morphemes(sentence) if tag == "EF"]
    if endings and endings[-1].endswith(_ORDERS):
        return ["연구 결과가 아니라 지시입니다"]
    if "".join(sentence.split()) in "".join(text.split()):
        return []
    problems = [f"글과 어긋나 보입니다({finding.kind}): {finding.words}" for finding in check_summary(sentence, text)]
    return problems + [f"인용문의 낱말이 바뀌었습니다: {change}" for change in changed_words(sentence, text)]


def changed_words(sentence: str, text: str) -> list[str]:
    """Return 'old → new' for each word, number or denial that differs from the sentence of the text it quotes.

    A sentence that quotes none, because it says the matter in words of its own, has no changes.
    """
    said = _morphemes(sentence)
    matchers = [difflib.SequenceMatcher(None, _morphemes(part), said, autojunk=False) for part in split_sentences(text)]
    nearest = max(matchers, key=difflib.SequenceMatcher.ratio, default=None)
    if nearest is None or nearest.ratio() < QUOTED:
        return []
    changes = []
    for kind, a, b, c, d in nearest.get_opcodes():
        old, new = nearest.a[a:b], nearest.b[c:d]
        content = [any(tag in CONTENT_TAGS for _, tag in side) for side in (old, new)]
        denied = [sum(form.startswith(_DENIALS) for form, _ in side) % 2 for side in (old, new)]
        if kind != "equal" and (all(content) or denied[0] != denied[1]):
            changes.append(f"{' '.join(form for form, _ in old)} → {' '.join(form for form, _ in new)}")
    return changes


def _morphemes(text: str) -> list[tuple[str, str]]:
    return [(token.form, token.tag.split("-")[0]) for token in load_kiwi().tokenize(text)]

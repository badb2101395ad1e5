"""What a question needs before any model sees it: help now, or a doctor rather than an answer.

A linear classifier over runs of characters and morphemes, fitted when it is first asked on the utterances in
data/questions that are labelled with their route, and beside it a rule for fever in the first three months. Word lists
had missed a fifth of what they were not written on. How often this misses and how often it is wrong is
measured by benchmarks/safety.py on utterances kept apart; it does miss, so the numbers to call stand in every answer.
"""

import functools
import itertools
import json
import re
import unicodedata
from typing import NamedTuple

from parentcare.data.keywords import load_kiwi
from parentcare.data.pairing import split_sentences
from parentcare.manifest import REPOSITORY

QUESTIONS = REPOSITORY / "data" / "questions"
UTTERANCES = (QUESTIONS / "safety_chosen_on.jsonl", QUESTIONS / "safety_training.jsonl")
ROUTES = ("none", "119", "112", "109", "no_dose", "no_diagnosis")
MESSAGES = {
    "109": """혼자 견디지 않으셔도 됩니다. 지금 자살예방 상담전화 109(24시간, 무료)로 전화해 주십시오.
당장 자신이나 아이를 해칠 것 같거나 이미 다쳤다면 119에 전화하고, 아이를 안전한 곳에 눕힌 뒤
가까운 어른을 부르십시오.""",
    "112": """아이나 가족이 위험할 수 있습니다. 학대가 의심되거나 위협을 받거나 아이를 찾을 수 없으면
지금 112에 신고하십시오. 의심만으로도 신고할 수 있고, 신고한 사람은 보호받습니다.
다친 사람이 있으면 119에 먼저 전화하십시오.""",
    "119": """응급일 수 있습니다. 답을 기다리지 말고 지금 119에 전화하거나 바로 응급실로 가십시오.
도착 전까지 할 일은 119가 알려 줍니다. 아이를 혼자 두지 말고, 먹은 것을 억지로 토하게 하지 마십시오.""",
    "no_dose": """약의 용량과 간격은 안내하지 않습니다. 아이의 몸무게와 상태를 아는 소아청소년과 의사나
약사에게 물어보십시오. 잘못 먹었거나 많이 먹었으면 지금 119에 전화하십시오.""",
    "no_diagnosis": """장애나 질환인지는 글만 보고 알 수 없어 진단하지 않습니다.
걱정되는 모습을 적어 소아청소년과에서 진료와 발달검사를 받아 보십시오.""",
}
# Chosen by cross-validation, looking at the 600 utterances whose writers had seen no code: with this least chance of
# "none", 2 % of those that need help were missed and 3 % of the others stopped.
RUN_CHARS = (2, 3, 4)
LEAST_OCCURRENCES, INVERSE_PENALTY = 2, 30
LEAST_CHANCE_OF_NONE = 0.6
SIGNS = {"SF", "SP", "SS"}
# a text longer than an utterance is heard sentence by sentence too
LONG_CHARS = 150


class Advice(NamedTuple):
    """What is shown instead of an answer: `kind` is the route, `message` says in Korean what to do now."""

    kind: str
    message: str


def check_question(question: str) -> Advice | None:
    """Return what to do at once, or None where the question may be answered from the papers."""
    kind = find_route(question)
    return Advice(kind, MESSAGES[kind]) if kind else None


def find_route(question: str) -> str | None:
    """Return the route of an utterance, the likeliest of its sentences where it is long, or None."""
    text = unicodedata.normalize("NFKC", question.encode(errors="ignore").decode()).lower()
    # ㅠㅠ alone says nothing of who needs what
    if not re.search("[가-힣a-z]", text):
        return None
    if has_young_fever("".join(text.split())):
        return "119"
    pieces = [text, *split_sentences(text)] if len(text) > LONG_CHARS else [text]
    worst = min(route_chances(pieces), key=lambda chances: chances["none"])
    chance_of_none = worst.pop("none")
    return max(worst, key=worst.get) if chance_of_none < LEAST_CHANCE_OF_NONE else None


def route_chances(texts: list[str]) -> list[dict[str, float]]:
    """Return route → probability for each text; one of which nothing is known is sure to be "none"."""
    vectorizer, classifier = load_classifier()
    features = vectorizer.transform(texts)
    known = features.getnnz(axis=1) > 0
    rows = classifier.predict_proba(features).tolist()
    return [
        dict(zip(classifier.classes_.tolist(), row, strict=True))
        if heard
        else {route: float(route == "none") for route in ROUTES}
        for row, heard in zip(rows, known, strict=True)
    ]


def read_features(text: str) -> list[str]:
    """Return the runs of characters of a text, and its morphemes with their parts of speech, alone and in pairs."""
    text = unicodedata.normalize("NFKC", text).lower()
    morphemes = [f"{token.form}/{token.tag[:2]}" for token in load_kiwi().tokenize(text) if token.tag[:2] not in SIGNS]
    pairs = [f"{first} {second}" for first, second in itertools.pairwise(morphemes)]
    return [*sorted(read_runs(text)), *morphemes, *pairs]


def read_runs(text: str) -> set[str]:
    """Return the runs of characters of a text, with its spaces and without; any number is 0."""
    text = re.sub(r"\d+", "0", text)
    spaced = " ".join(["", *re.sub(r"[^\w\s]", " ", text).split(), ""])
    closed = spaced.replace(" ", "")
    return {
        mark + letters[i : i + n]
        for mark, letters in (("_", spaced), ("-", closed))
        for n in RUN_CHARS
        for i in range(len(letters) - n + 1)
    }


@functools.cache
def load_classifier() -> tuple:
    """Return (vectorizer, classifier) fitted to the labelled utterances: TF-IDF and one logistic regression a route."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    rows = [json.loads(line) for path in UTTERANCES for line in path.read_text(encoding="utf-8").splitlines()]
    vectorizer = TfidfVectorizer(analyzer=read_features, binary=True, min_df=LEAST_OCCURRENCES)
    features = vectorizer.fit_transform([row["text"] for row in rows])
    regression = LogisticRegression(C=INVERSE_PENALTY, solver="liblinear", random_state=0)
    return vectorizer, OneVsRestClassifier(regression).fit(features, [row["route"] for row in rows])


# --- fever under three months --------------------------------------------------------------------

_DIGITS = {digit: str(value) for value, digit in enumerate("영일이삼사오육칠팔구")}
_YOUNG = re.compile(
    r"신생아|갓난|갓태어|조리원|배냇|(?:백|100)일(?:도|이)?(?:채)?(?:전|안|미만|직전|못)|(?:[삼3세석])(?:개월|달)(?:도|이)?(?:채)?(?:미만|전|안)"
    r"|(?:한|두|둘째|1|2)달(?!전|에|동안|뒤|후|만|째)|(?<!\d)[12]개월(?!전|째|동안|간|뒤|후|마다|넘게|만에)"
    r"|(?:태어|나온|낳|출산)\D{0,4}지(?:며칠|일주일|[이삼]주|보름|열흘|한달|두달)"
    r"|(?:(?:한|두|세|네|다섯|여섯|일곱|여덟|아홉|열|열한|열두)|(?<!\d)(?:[1-9]|1[0-2]))주(?!일|전|동안|에|후|뒤|간)(?:차|된|짜리|아|신|인|쯤)?"
)
_DAYS_OLD = re.compile(
    r"(?:생후|태어난지|낳은지|출생|출산)(\d{1,3})일|(?<!\d)(\d{1,3})일(?:된|짜리|차|인데|아기|애기|아가|신생|갓)|태어난지(\d{1,3})"
)
_THREE_MONTHS_DAYS = 91
_TEMPERATURE = re.compile(
    r"(?<![\d.])(3[4-9]|4[0-2])(?:\.|도|점|℃|°c?)?(\d(?!\d|개월|시간|일|번|분))?(?!개월|주|일|kg|키로|주차|살|세|cm|명)"
)
_FEVER_WORDS = re.compile(r"열이|열나|열은|열도|고열|미열|뜨끈|펄펄|불덩|뜨거워|뜨겁|열\d")
_ROOM = re.compile(r"기온|실내|방온도|물온도|목욕물|분유물|날씨|폭염|수온")


def has_young_fever(text: str) -> bool:
    """Return whether a child under three months has 38 °C or more, or a fever that nobody measured.

    `text` has no spaces; ages and temperatures may be written in digits or in words ('백일 전', '삼십팔도 오부').
    """
    text = re.sub(r"([일이삼사오육칠팔구]?)십([일이삼사오육칠팔구]?)(?=도|일|점)", _to_digits, text)
    text = re.sub(
        r"(?<=\d점)[영일이삼사오육칠팔구]|(?<=\d도)[일이삼사오육칠팔구](?=부|분)", lambda m: _DIGITS[m[0]], text
    )
    days = [int(next(filter(None, found))) for found in _DAYS_OLD.findall(text)]
    if not (_YOUNG.search(text) or any(day <= _THREE_MONTHS_DAYS for day in days)):
        return False
    if _ROOM.search(text) and not re.search("체온|열이|열나", text):
        return False
    measured = [float(f"{whole}.{part or 0}") for whole, part in _TEMPERATURE.findall(text)]
    return max(measured) >= 38 if measured else bool(_FEVER_WORDS.search(text))


def _to_digits(match: re.Match) -> str:
    return _DIGITS.get(match[1], "1") + _DIGITS.get(match[2], "0")

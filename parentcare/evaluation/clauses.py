"""Korean clauses: split from a sentence's tokens, weighted as context, asked what they claim or deny."""

import collections
import itertools

# the weight of a clause's words in its neighbours' contexts: after 'but' the matter changes
CLAUSE_BEFORE, CLAUSE_BEFORE_BUT, OTHER_CLAUSE = 0.5, 0.2, 0.1
# characters over which a clause's own words fade with their distance from the word in question
CONTEXT_CHARS = 60
LEAST_NEARNESS = 0.4
_BUT = frozenset("으나 나 지만 반면 데".split())
_CLAUSE_ENDINGS = frozenset(
    "으나 나 지만 고 으며 며 으면서 면서 는데 은데 ᆫ데 아 어 아서 어서 여 여서 으니 니 므로 으므로 되 던데".split()
)
# what is asked, supposed or intended is not claimed
_OPEN_CONNECTIVES = frozenset("는지 ᆫ지 은지 ᆯ지 을지 려고 ᆯ까 을까 도록 어야 아야 면 으면 는가 ᆫ가 은가".split())
_OPEN_ENDS = _OPEN_CONNECTIVES | {"나", "까"}
_SUPPOSED = frozenset("가설 예상 짐작 기대 통념 가정 추측 생각 조언 믿음 물음 질문 목적".split())
_MOST_PREDICATE_TOKENS = 12


def morpheme(token) -> tuple[str, str]:
    """Return (form, tag) without the tag's mark of irregular verbs."""
    return token.form, token.tag.split("-")[0]


def is_content(token) -> bool:
    """Return whether the token carries meaning."""
    return token.tag in ("NNG", "NNP", "XR", "SN", "SL", "MAG", "NR") or token.tag.startswith(("VV", "VA"))


def split_clauses(tokens: list) -> list[list]:
    """Return the tokens of one sentence as clauses; a bracket goes with the clause before it."""
    clauses, current, depth, ended = [], [], 0, False
    for token, after in itertools.zip_longest(tokens, tokens[1:]):
        if ended and depth == 0 and token.tag not in ("SSO", "SP"):
            clauses.append(current)
            current, ended = [], False
        current.append(token)
        depth = max(0, depth + (token.form == "(") - (token.form == ")"))
        connective = token.tag == "EC" and token.form in _CLAUSE_ENDINGS and depth == 0
        # an auxiliary or a denial still belongs to the verb
        bound = after is None or after.tag.startswith("VX") or after.form in ("못", "않", "있", "지")
        ended = ended or (connective and not bound) or (token.form == "반면" and len(current) > 1)
    return [*clauses, current] if current else clauses


def outside_brackets(tokens: list) -> list:
    """Return the tokens that stand in no bracket."""
    kept, depth = [], 0
    for token in tokens:
        depth = max(0, depth + (token.form == "("))
        if depth == 0:
            kept.append(token)
        depth = max(0, depth - (token.form == ")"))
    return kept


def context_words(parts: list[list], place: int, ignored: frozenset) -> dict:
    """Return morpheme → weight around one clause: its own words 1, those of its sentence less."""
    words: dict = {}
    for other, part in enumerate(parts):
        if other == place:
            weight = 1.0
        elif other == place - 1:
            weight = CLAUSE_BEFORE_BUT if any(t.form in _BUT for t in part[-6:]) else CLAUSE_BEFORE
        else:
            weight = OTHER_CLAUSE
        for token in part:
            # a number belongs to its own clause alone
            if is_content(token) and token.form not in ignored and (other == place or token.tag != "SN"):
                words[morpheme(token)] = max(words.get(morpheme(token), 0), weight)
    return words


def focus(words: dict, tokens: list, center) -> dict:
    """Return the context with the clause's own words fading with their distance from `center`."""
    near = collections.defaultdict(float)
    for token in tokens:
        weight = max(LEAST_NEARNESS, 1 - abs(token.start - center.start) / CONTEXT_CHARS)
        near[morpheme(token)] = max(near[morpheme(token)], weight)
    return {word: min(weight, near[word]) if word in near else weight for word, weight in words.items()}


def standard_of(body: list) -> frozenset:
    """Return the morphemes of what is compared with: the noun phrase before '보다'."""
    standard = set()
    for place, token in enumerate(body):
        if (token.form, token.tag) == ("보다", "JKB"):
            phrase = itertools.takewhile(
                lambda t: t.tag[0] in "NXS" or t.tag in ("JKG", "MM", "MAG", "ETM", "VA"), reversed(body[:place])
            )
            standard |= {morpheme(t) for t in phrase if is_content(t)}
    return frozenset(standard)


def predicate(body: list, place: int) -> list:
    """Return the tokens from `place` to the end of the predicate that it is, or belongs to."""
    verb = False
    for end, token in enumerate(body[place : place + _MOST_PREDICATE_TOKENS], start=place + 1):
        verb = verb or token.tag[0] == "V" or token.tag in ("XSV", "XSA")
        ending = token.tag in ("EF", "ETM") or (token.tag == "EC" and token.form not in ("지", "게", "어", "아", "고"))
        if verb and ending:
            return body[place:end]
    return body[place : place + _MOST_PREDICATE_TOKENS]


def is_denied(tokens: list) -> bool:
    """Return whether the tokens hold an odd number of denials."""
    denials = sum(
        (token.form.startswith(("않", "못", "없")) and token.tag[0] in "VM")
        or (token.form in ("아니", "안") and token.tag[0] in "VM")
        or token.form in ("사라지", "기각", "빗나가")
        for token in tokens
    )
    return denials % 2 == 1


def is_supposed(body: list, place: int, rest: list) -> bool:
    """Return whether the predicate is asked, supposed or intended, not claimed."""
    last = rest[-1]
    if last.tag in ("EC", "EF"):
        return last.form in (_OPEN_ENDS if last.tag == "EF" else _OPEN_CONNECTIVES)
    after = body[place + len(rest) : place + len(rest) + 1]
    return last.tag == "ETM" and any(token.form in _SUPPOSED for token in after)

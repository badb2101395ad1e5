"""The words that passages and questions are compared by, and the research words for what parents say."""

import functools
from importlib import metadata
from pathlib import Path

from parentcare.data.keywords import USER_WORDS, load_kiwi
from parentcare.data.records import normalise_text
from parentcare.manifest import REPOSITORY, short_path

SYNONYMS = REPOSITORY / "data" / "synonyms.tsv"
SYNONYM_HEADER = "parent_words\tresearch_words"
CONTENT_TAGS = frozenset("NNG NNP NNB NR XR VV VA MAG MM SL SH SN".split())
# (morphemes that a question must have, morphemes to look for then)
Synonyms = list[tuple[frozenset[str], list[str]]]


@functools.cache
def find_tokenizer() -> str:
    """Return what the morphemes of a text depend on."""
    versions = [f"{name} {metadata.version(name)}" for name in ("kiwipiepy", "kiwipiepy_model")]
    return " ".join([*versions, *sorted(CONTENT_TAGS), *USER_WORDS])


def tokenize(texts: list[str]) -> list[list[str]]:
    """Return the content morphemes of each text as "form/tag", in order, Latin letters in lower case."""
    return [
        [f"{''.join(t.form.split()).lower()}/{t.tag[:2]}" for t in tokens if t.tag.split("-")[0] in CONTENT_TAGS]
        for tokens in load_kiwi().tokenize(texts)
    ]


def read_question(question: str) -> list[str]:
    """Return the content morphemes of a question; characters that UTF-8 cannot hold are left out."""
    return tokenize([normalise_text(question.encode("utf-8", "ignore").decode())])[0]


def read_synonyms(path: Path = SYNONYMS) -> Synonyms:
    """Return the synonyms of a table of two columns, words in a cell separated by commas.

    Raises ValueError that names the line where a row is not two columns.
    """
    spoken, research = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#") or line == SYNONYM_HEADER:
            continue
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != 2 or not all(columns):
            raise ValueError(f"{short_path(path)}:{number} is {line!r}; expected parents' words, a tab, research words")
        words = [word for word in columns[0].split(",") if word.strip()]
        spoken += words
        research += [columns[1]] * len(words)
    pairs = zip(tokenize(spoken), tokenize(research), strict=True)
    return [(frozenset(words), terms) for words, terms in pairs if words and terms]


def expand(synonyms: Synonyms, words: list[str]) -> set[str]:
    """Return the research words for what parents say among `words`, without those that are there already."""
    said = set(words)
    return {term for needed, terms in synonyms if needed <= said for term in terms} - said

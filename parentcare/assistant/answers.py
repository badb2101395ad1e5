"""Answers in which every sentence cites a passage and is checked against it, and summaries of a given text.

Safety advice comes before any retrieval or model; everything that leaves here says that AI made it.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from parentcare.assistant.citations import check_against, check_claim
from parentcare.assistant.index import Index, Passage, has_evidence, search
from parentcare.assistant.safety import check_question
from parentcare.assistant.writers import Writer, WriterError, cut_sentences
from parentcare.data.pairing import fit_body
from parentcare.data.papers import read_papers
from parentcare.data.records import normalise_text
from parentcare.data.sections import parse_paper, read_prose

MAX_QUESTION_CHARS = 500
MAX_TEXT_CHARS = 20_000
MAX_PAGES = 200
READ_SECONDS = 30
# of the best passage's score: below it, nearly every passage is of a paper that the question is not about
RELEVANT = 0.6
# the rules before the model miss some of those who need help, so every answer says where it is
NOTICE = (
    "인공지능(AI) 서비스가 낸 글입니다. 의료 조언이 아니며 진단이나 처방을 대신하지 않습니다. "
    "응급 119 · 아동학대 신고 112 · 자살예방 상담 109"
)
SYNTHETIC = "합성 표본 논문: 근거로 쓰지 마십시오"
UNCONFIRMED = "본문에서 확인되지 않음"
NO_EVIDENCE = "근거를 찾지 못했습니다. 갖고 있는 논문에는 이 질문에 답할 만한 내용이 없습니다."
NOTHING_LEFT = "근거를 찾지 못했습니다. 찾은 글은 아래에 있지만, 인용 검사를 통과한 문장이 없습니다."


class Claim(NamedTuple):
    """One sentence, the numbers (from 1) of the passages it cites, and why it may not stand: empty where it may."""

    sentence: str
    cited: list[int]
    problems: list[str]


class Answer(NamedTuple):
    """`message` stands in the place of claims, or below them where the writer stopped; `passages` are [1], [2] …

    A summary has no question, and cites nothing; `share_read` is of the whole text's characters.
    """

    question: str = ""
    message: str = ""
    claims: tuple[Claim, ...] = ()
    passages: tuple[Passage, ...] = ()
    writer: str = ""
    share_read: float = 0.0


def answer_question(question: str, index: Index, writer: Writer, limit: int = 5) -> Iterator[Answer]:
    """Yield the answer as it grows, a checked sentence at a time; the last one is whole."""
    question = normalise_text(question.encode("utf-8", "ignore").decode())
    if not question or len(question) > MAX_QUESTION_CHARS:
        yield Answer(question[:MAX_QUESTION_CHARS], f"질문을 1자에서 {MAX_QUESTION_CHARS}자 사이로 적어 주십시오.")
        return
    if advice := check_question(question):
        yield Answer(question, advice.message)
        return
    passages = search(index, question, limit)
    if not has_evidence(index, question, passages):
        yield Answer(question, NO_EVIDENCE)
        return
    passages = [passage for passage in passages if passage.score >= RELEVANT * passages[0].score]
    answer = Answer(question, passages=tuple(passages), writer=writer.label)
    yield answer
    sentences = writer.write(question, passages)
    answer = yield from add_claims(answer, sentences, lambda sentence, cited: check_claim(sentence, cited, passages))
    if not answer.message and all(claim.problems for claim in answer.claims):
        yield answer._replace(message=NOTHING_LEFT)


def summarise_text(text: str, writer: Writer, whole_chars: int = 0) -> Iterator[Answer]:
    """Yield the summary as it grows. `whole_chars`: of the document that `text` was taken from, else its own."""
    text = normalise_text(text.encode("utf-8", "ignore").decode())
    if not text or len(text) > MAX_TEXT_CHARS:
        yield Answer(message=f"글을 1자에서 {MAX_TEXT_CHARS:,}자 사이로 넣어 주십시오. 지금은 {len(text):,}자입니다.")
        return
    if len(text) <= MAX_QUESTION_CHARS and (advice := check_question(text)):
        yield Answer(message=advice.message)
        return
    try:
        read, pieces = writer.summarise(text)
    except WriterError as error:
        yield Answer(message=str(error), writer=writer.label)
        return
    summary = Answer(writer=writer.label, share_read=min(1.0, len(read) / max(whole_chars, len(text))))
    sentences = ((sentence, []) for sentence in cut_sentences(pieces))
    yield from add_claims(summary, sentences, lambda sentence, _: check_against(sentence, read))


def add_claims(answer: Answer, sentences: Iterator, check: Callable) -> Generator[Answer, None, Answer]:
    """Yield, and at last return, the answer with one checked sentence more at a time, and why the writer stopped."""
    try:
        for sentence, cited in sentences:
            answer = answer._replace(claims=(*answer.claims, Claim(sentence, cited, check(sentence, cited))))
            yield answer
    except WriterError as error:
        answer = answer._replace(message=str(error))
        yield answer
    return answer


def read_document(path: Path) -> tuple[str, int]:
    """Return (the text of a PDF, HWPX or HWP file as 01 would summarise it, characters of its whole prose).

    It is read in a process of its own within limits. Raises ValueError with the Korean sentence for the reader.
    """
    [read] = read_papers([path], processes=1, seconds=READ_SECONDS)
    if "reason" in read:
        raise ValueError(f"이 파일을 읽지 못했습니다. PDF, HWPX, HWP 파일인지 확인해 주십시오. ({read['reason']})")
    if len(read["pages"]) > MAX_PAGES:
        raise ValueError(f"쪽수가 너무 많습니다({len(read['pages'])}쪽). {MAX_PAGES}쪽까지 읽습니다.")
    sections = parse_paper(read)["sections"]
    prose = "\n".join(section["text"] for section in sections.values()) or "\n".join(read_prose(read))
    return (fit_body(sections) if sections else prose[:MAX_TEXT_CHARS]), len(prose)


def describe_passage(passage: Passage) -> str:
    """Return title, year and section, what kind of text it is, and the label of a synthetic paper."""
    kind = "초록" if passage.kind == "abstract" else passage.section
    label = f" [{SYNTHETIC}]" if passage.synthetic else ""
    return f"{passage.title} ({passage.year or '연도 미상'}), {kind}{label}"


def describe_dropped(answer: Answer) -> str:
    """Return how many sentences failed their check, or "" where none did."""
    dropped = sum(bool(claim.problems) for claim in answer.claims)
    return f"인용 검사를 통과하지 못한 문장 {dropped}개를 뺐습니다." if dropped else ""


def format_answer(answer: Answer) -> str:
    """Return the answer as plain text to print or save: notice, labels, sentences with [n], and the passages."""
    shown = [claim for claim in answer.claims if not claim.problems]
    lines = [f"[AI 생성] {NOTICE}", f"질문: {answer.question}"]
    lines += [f"※ {SYNTHETIC}"] if any(passage.synthetic for passage in answer.passages) else []
    lines += [f"- {c.sentence} {''.join(f'[{n}]' for n in c.cited)}" for c in shown]
    lines += [line for line in (answer.message, describe_dropped(answer), answer.writer) if line]
    lines += [f"[{n}] {describe_passage(passage)}" for n, passage in enumerate(answer.passages, start=1)]
    return "\n".join(lines)


def format_summary(summary: Answer) -> str:
    """Return the summary as plain text to print or save; a sentence that the text does not bear out is marked."""
    lines = [f"[AI 생성] {NOTICE}"]
    for claim in summary.claims:
        why = f" ({UNCONFIRMED}: {'; '.join(claim.problems)})" if claim.problems else ""
        lines.append(claim.sentence + why)
    lines += [f"읽은 분량: 글의 {summary.share_read:.0%}", summary.writer] if summary.writer else []
    return "\n".join([*lines, *filter(None, [summary.message])])

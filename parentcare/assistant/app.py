"""The page: a question answered with citations, a text summarised. Korean, offline, nothing kept.

Whatever comes from a question, a passage, a file or a model reaches the page through `html.escape`.
"""

import html
import os
from collections.abc import Iterator
from pathlib import Path

from parentcare.assistant import answers, safety
from parentcare.assistant.answers import Answer
from parentcare.assistant.index import Index
from parentcare.assistant.writers import Writer

MAX_FILE_SIZE = "20mb"
MAX_WAITING = 20
BEFOREHAND = (
    "**생성형 인공지능(AI) 서비스:** 육아 연구 논문에서 찾은 글로 답하며, 틀릴 수 있습니다. "
    "**의료 조언이 아니며 진단이나 처방을 대신하지 않습니다.** 위급하면 바로 119, 아동학대 신고는 112, "
    "죽고 싶은 마음이 들면 109에 전화하십시오. "
    "질문과 답은 저장하지 않습니다."
)
EXAMPLES = (
    "어린이집에 처음 가는 아이가 아침마다 우는데 적응하는 데 무엇이 도움이 되나요?",
    "할머니가 아이를 돌봐 주시는데 엄마와의 애착이 약해질까요?",
    "자유놀이에서 또래 갈등이 일어나면 교사가 바로 판정해 주는 것이 좋은가요?",
)
CSS = """
.gradio-container { font-family: Pretendard, "Noto Sans KR", "NanumGothic", "Apple SD Gothic Neo",
  "Malgun Gothic", sans-serif !important; max-width: 860px !important; margin: auto; }
.prose { word-break: keep-all; }
.answer { line-height: 1.7; word-break: keep-all; overflow-wrap: anywhere; }
.answer .notice, .answer .how { font-size: .85em; opacity: .8; }
.answer .label { border-left: 4px solid #b45309; padding-left: .6em; font-weight: 600; }
.answer .message { border-left: 4px solid #1d4ed8; padding-left: .6em; white-space: pre-line; }
.answer .doubt { text-decoration: underline wavy; }
.answer .cite { font-weight: 600; text-decoration: none; padding: 0 .1em; }
.answer details { border: 1px solid #8884; border-radius: 6px; padding: .3em .7em; margin: .4em 0; }
.answer blockquote { white-space: pre-line; margin: .5em 0; }
"""
# gradio sends at Enter even while a Hangul syllable is still being composed; a citation opens its passage
HEAD = """<script>
document.documentElement.lang = "ko";
for (const kind of ["keydown", "keypress"])
  window.addEventListener(kind, (event) => {
    if (event.key !== "Enter" || !(event.isComposing || event.keyCode === 229)) return;
    event.stopImmediatePropagation();
    if (kind === "keypress") event.preventDefault();
  }, true);
document.addEventListener("click", (event) => {
  const number = event.target.closest?.("a.cite")?.dataset.passage;
  const passage = number && document.getElementById("passage-" + number);
  if (!passage) return;
  event.preventDefault();
  passage.open = true;
  passage.scrollIntoView({ behavior: "smooth", block: "nearest" });
});
</script>"""
# saved by the browser itself: the server keeps no copy
SAVE = """(text) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
  link.download = "ParentCare.txt";
  if (text) link.click();
}"""


def show_answer(answer: Answer) -> str:
    """Return the answer as HTML: notice, labels, sentences whose [n] opens the passage, and the passages."""
    parts = [_paragraph("notice", f"[AI 생성] {answers.NOTICE}")]
    if any(passage.synthetic for passage in answer.passages):
        parts.append(_paragraph("label", answers.SYNTHETIC))
    for sentence, cited, problems in answer.claims:
        links = "".join(f'<a class="cite" href="#passage-{n}" data-passage="{n}">[{n}]</a>' for n in cited)
        parts += [] if problems else [f"<p>{html.escape(sentence)} {links}</p>"]
    parts.append(_paragraph("message", answer.message))
    parts += [_paragraph("how", line) for line in (answers.describe_dropped(answer), answer.writer)]
    for number, passage in enumerate(answer.passages, start=1):
        title, text = html.escape(answers.describe_passage(passage)), html.escape(passage.text)
        source = _paragraph("how", f"출처: {passage.source} · 이용 조건: {passage.license}")
        parts.append(
            f'<details id="passage-{number}"><summary>[{number}] {title}</summary>'
            f"<blockquote>{text}</blockquote>{source}</details>"
        )
    return f'<div class="answer">{"".join(parts)}</div>'


def show_summary(summary: Answer) -> str:
    """Return the summary as HTML; a sentence that the text does not bear out is underlined and says so."""
    parts = [_paragraph("notice", f"[AI 생성] {answers.NOTICE}")]
    for claim in summary.claims:
        why = f' <span class="how">({answers.UNCONFIRMED})</span>' if claim.problems else ""
        parts.append(f'<p class="{"doubt" if why else "said"}">{html.escape(claim.sentence)}{why}</p>')
    parts.append(_paragraph("message", summary.message))
    if summary.writer:
        parts.append(_paragraph("how", f"읽은 분량: 글의 {summary.share_read:.0%}. {summary.writer}"))
    return f'<div class="answer">{"".join(parts)}</div>'


def _paragraph(kind: str, text: str) -> str:
    return f'<p class="{kind}">{html.escape(text)}</p>' if text else ""


def build_page(index: Index, writer: Writer, concurrency: int = 1):
    """Return the gradio Blocks; `concurrency` answers are written at once, the others wait in the queue."""
    # gradio reads it when it is imported
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio

    safety.load_classifier()  # seconds that the first who asks would wait

    def ask(question: str) -> Iterator[tuple[str, str]]:
        for answer in answers.answer_question(question or "", index, writer):
            yield show_answer(answer), answers.format_answer(answer)

    def summarise(text: str, file: str | None) -> Iterator[tuple[str, str]]:
        for summary in summarise_input(text or "", file, writer):
            yield show_summary(summary), answers.format_summary(summary)

    with gradio.Blocks(title="ParentCare", delete_cache=(600, 600)) as page:
        gradio.Markdown(f"# ParentCare: 육아 연구 논문에 묻기\n\n{BEFOREHAND}")
        with gradio.Tab("질문"):
            longest = answers.MAX_QUESTION_CHARS
            question = gradio.Textbox(
                label="질문", elem_id="question", max_length=longest, placeholder="Enter로 보냅니다"
            )
            send = gradio.Button("질문하기", variant="primary", elem_id="ask")
            gradio.Examples([[example] for example in EXAMPLES], question, label="예")
            answered = _output(gradio, "answer")
        with gradio.Tab("요약"):
            longest = answers.MAX_TEXT_CHARS
            text = gradio.Textbox(label="글", elem_id="text", lines=8, max_lines=16, max_length=longest)
            file = gradio.File(label="또는 논문 파일", elem_id="file", file_types=[".pdf", ".hwpx", ".hwp"])
            shorten = gradio.Button("요약하기", variant="primary", elem_id="summarise")
            summarised = _output(gradio, "summary")
        gradio.on([question.submit, send.click], ask, question, answered, api_name="ask", concurrency_id="writer")
        shorten.click(summarise, [text, file], summarised, api_name="summarise", concurrency_id="writer")
    return page.queue(max_size=MAX_WAITING, default_concurrency_limit=concurrency)


def _output(gradio, name: str) -> list:
    """Return where an answer is shown, its plain text unseen, and the button that saves that."""
    shown = gradio.HTML(elem_id=name)
    plain = gradio.Textbox(visible=False)
    gradio.Button("텍스트로 저장", size="sm", elem_id=f"save-{name}").click(None, plain, None, js=SAVE)
    return [shown, plain]


def summarise_input(text: str, file: str | None, writer: Writer) -> Iterator[Answer]:
    """Yield the summary of an uploaded file, which is deleted once it is read, else of the pasted text."""
    whole_chars = 0
    if file:
        try:
            text, whole_chars = answers.read_document(Path(file))
        except ValueError as error:
            yield Answer(message=str(error))
            return
        finally:
            Path(file).unlink(missing_ok=True)
    yield from answers.summarise_text(text, writer, whole_chars)


def launch(page, host: str = "127.0.0.1", port: int = 7860, block: bool = True) -> str:
    """Return the page's address after starting it; with `block`, only once it has been stopped."""
    _, address, _ = page.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=not block,
        share=False,
        css=CSS,
        head=HEAD,
        footer_links=[],
        max_file_size=MAX_FILE_SIZE,
        run_history=False,
        ssr_mode=False,
        enable_monitoring=False,
    )
    return address

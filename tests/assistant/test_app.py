"""The page, through gradio's client and in a browser: everything foreign is text, and Hangul is typed in peace."""

import shutil

import pytest

from parentcare.assistant import app
from parentcare.assistant.__main__ import main, parse_arguments
from parentcare.assistant.answers import NOTICE, Answer
from parentcare.assistant.writers import extraction
from parentcare.manifest import REPOSITORY
from tests.assistant.conftest import HOSTILE
from tests.assistant.test_answers import QUESTION, SAND
from tests.assistant.test_citations import passage

PAPER = REPOSITORY / "data" / "papers" / "sample-001.pdf"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
BOX = "#question textarea"


def test_everything_foreign_is_escaped():
    nasty = passage(HOSTILE, title=HOSTILE, section=HOSTILE, license=HOSTILE, source=HOSTILE)
    shown = app.show_answer(Answer(HOSTILE, HOSTILE, (), (nasty,), HOSTILE))
    assert "<script" not in shown and "<img" not in shown and shown.count("&lt;script&gt;") == 7


def test_the_command_opens_the_page_on_this_machine_unless_told_otherwise():
    assert parse_arguments([]).host == "127.0.0.1"
    assert parse_arguments(["--host", "0.0.0.0", "--port", "80"]).host == "0.0.0.0"


def test_without_an_index_the_command_names_the_notebook_that_makes_it(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["assistant", "--index", str(tmp_path)])
    with pytest.raises(SystemExit, match="05_ask_papers"):
        main()


# --- through the client ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address(small_index, tmp_path_factory):
    """Return where the page is served for these tests, its uploads in a folder of their own."""
    uploads = tmp_path_factory.mktemp("uploads")
    patch = pytest.MonkeyPatch()
    patch.setenv("GRADIO_TEMP_DIR", str(uploads))
    page = app.build_page(small_index, extraction())
    yield app.launch(page, port=None, block=False), uploads
    page.close()
    patch.undo()


@pytest.fixture(scope="module")
def client(address):
    """Return gradio's own client of the page."""
    from gradio_client import Client

    return Client(address[0], verbose=False)


def test_the_page_is_served_on_this_machine_alone(address):
    assert address[0].startswith("http://127.0.0.1:")


def test_an_answer_is_streamed_and_marked(client):
    job = client.submit(QUESTION, api_name="/ask")
    shown, plain = job.result()
    assert len(job.outputs()) > 2
    assert NOTICE in shown and 'data-passage="1"' in shown and '<details id="passage-1">' in shown
    assert plain.startswith("[AI 생성]") and "합성 표본 논문" in plain


def test_markup_in_questions_and_passages_reaches_the_client_as_text(client):
    for question in (SAND, HOSTILE, f"{SAND} {HOSTILE}"):
        shown, _ = client.predict(question, api_name="/ask")
        assert "<script" not in shown and "<img" not in shown
    assert "&lt;script&gt;window.owned" in client.predict(SAND, api_name="/ask")[0]


def test_limits_hold_behind_the_page_too(client):
    assert "500자" in client.predict("가" * 501, api_name="/ask")[0]
    assert "20,000자" in client.predict("가" * 20_001, None, api_name="/summarise")[0]


def test_an_uploaded_paper_is_summarised_and_not_kept(client, address, tmp_path):
    from gradio_client import handle_file

    path = shutil.copy(PAPER, tmp_path / "논문 <b>이름.pdf")
    shown, plain = client.predict("", handle_file(str(path)), api_name="/summarise")
    assert "읽은 분량: 글의 " in plain and "<b>" not in shown
    assert not list(address[1].rglob("*.pdf"))


def test_a_file_that_is_too_large_or_no_paper_is_refused(client, tmp_path):
    from gradio_client import handle_file

    (tmp_path / "large.pdf").write_bytes(b"%PDF-1.7" + bytes(21 * 2**20))
    (tmp_path / "false.pdf").write_bytes(b"<script>window.owned = 4</script>")
    with pytest.raises(Exception, match=r"(?i)too large|413|exceeds"):
        client.predict("", handle_file(str(tmp_path / "large.pdf")), api_name="/summarise")
    shown, _ = client.predict("", handle_file(str(tmp_path / "false.pdf")), api_name="/summarise")
    assert "이 파일을 읽지 못했습니다" in shown and "<script" not in shown


# --- in a browser ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Return Debian's chromium; these tests are skipped only where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, address):
    """Return the loaded page, with the addresses it asked for in `asked`."""
    opened = browser.new_page(viewport={"width": 900, "height": 900}, locale="ko-KR")
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(address[0])
    opened.wait_for_selector(BOX)
    yield opened
    opened.close()


def ask(page, question: str) -> str:
    """Return the answer's visible text."""
    page.fill(BOX, question)
    page.press(BOX, "Enter")
    page.wait_for_selector("#answer details, #answer .message")
    page.wait_for_selector("#answer .generating", state="detached")
    return page.inner_text("#answer")


def test_the_notice_is_there_beforehand_and_nothing_is_fetched_from_elsewhere(page, address):
    assert "생성형 인공지능" in page.inner_text("body") and "119" in page.inner_text("body")
    assert page.evaluate("document.documentElement.lang") == "ko"
    ask(page, QUESTION)
    foreign = [url for url in page.asked if not url.startswith((address[0], "data:", "blob:"))]
    assert foreign == []


def test_scripts_in_questions_and_passages_do_not_run(page):
    text = ask(page, f"{SAND} {HOSTILE} ${{window.owned = 5}} {{{{window.owned}}}}")
    assert "<script>window.owned = 1</script>" in text
    assert page.evaluate("window.owned") is None
    assert page.locator("#answer img, #answer script").count() == 0


def test_scripts_in_file_names_do_not_run(page, tmp_path):
    path = shutil.copy(PAPER, tmp_path / "<img src=x onerror=window.owned=6>.pdf")
    page.get_by_role("tab", name="요약").click()
    page.set_input_files("#file input[type=file]", str(path))
    page.wait_for_selector("#file :text('.pdf')")
    page.click("#summarise")
    page.wait_for_selector("#summary :text('읽은 분량')")
    assert page.evaluate("window.owned") is None


def test_a_citation_opens_its_passage(page):
    ask(page, QUESTION)
    assert not page.evaluate("document.getElementById('passage-1').open")
    page.click("#answer a.cite >> nth=0")
    assert page.evaluate("document.getElementById('passage-1').open")


def test_enter_while_a_syllable_is_composed_does_not_send(page):
    keyboard = page.context.new_cdp_session(page)
    enter = {"type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
    page.focus(BOX)
    keyboard.send("Input.imeSetComposition", {"text": "애착", "selectionStart": 2, "selectionEnd": 2})
    keyboard.send("Input.dispatchKeyEvent", enter)
    page.wait_for_timeout(500)
    assert page.input_value(BOX) == "애착" and page.inner_text("#answer").strip() == ""
    keyboard.send("Input.insertText", {"text": "애착"})
    keyboard.send("Input.dispatchKeyEvent", enter)
    page.wait_for_selector("#answer .answer")
    assert page.input_value(BOX) == "애착"


def test_a_saved_answer_carries_the_notice(page):
    ask(page, QUESTION)
    with page.expect_download() as download:
        page.click("#save-answer")
    saved = download.value.path().read_text(encoding="utf-8")
    assert saved.startswith("[AI 생성]") and NOTICE in saved and QUESTION in saved

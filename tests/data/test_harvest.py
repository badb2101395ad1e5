import datetime
import email.utils
import itertools
import os
import signal
import socket
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from sickle import Sickle

from parentcare.data import harvest
from parentcare.data.harvest import HarvestError, Selection, harvest_catalogue
from parentcare.data.records import read_jsonl
from tests.data.oai_server import FORMATS, ROOT, SETS, Item, OaiServer, article

REPOSITORY = Path(__file__).resolve().parents[2]
NO_TITLE = Item("oai:example.org:ARTI/98", "2026-03-05", '<oai_kci xmlns="http://x/"><articleInfo/></oai_kci>')
ROW = {
    "id": "oai:example.org:ARTI/8",
    "title": "유아의 또래 & 관계",
    "title_en": "Peer relations of young children 8",
    "authors": ["김가상", "이예시"],
    "year": 2024,
    "journal": "가상유아교육연구",
    "abstract": "또래 관계를 살펴보았다 < 8.",
    "abstract_en": "We looked at peers & play.",
    "keywords": [],
    "open_access": True,
    "license": None,
    "doi": "10.0000/test.8",
    "url": "https://example.org/ART000000008",
    "datestamp": "2026-03-01",
}
SELECTIONS = [
    ({"fields": ["유아 교육", "법학"]}, [1, 2]),
    ({"fields": ["유아교육"], "title_terms": ["노인"]}, [2]),
    ({"title_terms": ["PEER"], "journals": ["가상 유아"]}, [1, 2, 3]),
    ({"since": "2026-03-03"}, [3]),
    ({"since": "2026-06-01"}, []),  # the service answers noRecordsMatch
]
DELETED = Item("oai:example.org:ARTI/99", "2026-03-06", None)


@pytest.fixture
def catalogue(tmp_path) -> Path:
    return tmp_path / "catalogue.jsonl"


def papers() -> list[Item]:
    """Return ten articles with a malformed and a deleted record among them."""
    items = [article(n, f"2026-03-{n:02}") for n in range(1, 11)]
    return [*items[:5], NO_TITLE, DELETED, *items[5:]]


def run(server: OaiServer, catalogue: Path, **selection) -> dict:
    return harvest_catalogue(server.endpoint, catalogue, Selection(**selection), "lab@example.org", pause_seconds=0)


def numbers(catalogue: Path) -> list[int]:
    return sorted(int(row["id"].rpartition("/")[2]) for row in read_jsonl(catalogue))


def test_the_fake_service_speaks_to_plain_sickle():
    with OaiServer([article(n) for n in range(5)]) as server:
        sickle = Sickle(server.endpoint)
        assert sickle.Identify().granularity == "YYYY-MM-DD"
        assert [s.setSpec for s in sickle.ListSets()] == list(SETS)
        assert [f.metadataPrefix for f in sickle.ListMetadataFormats()] == list(FORMATS)
        assert len(list(sickle.ListRecords(metadataPrefix="oai_dc"))) == 5


def test_every_readable_record_comes_once_by_token(catalogue):
    with OaiServer(papers()) as server:
        result = run(server, catalogue)
    first, *others = server.pages_asked()
    assert first["from"] == "2013-03-21" and first["until"] == "2026-06-30" and first["metadataPrefix"] == "oai_kci"
    assert len(others) == 3 and all(query.keys() == {"verb", "resumptionToken"} for query in others)
    assert numbers(catalogue) == list(range(1, 11))
    assert [result[name] for name in ("rows", "listed", "matched", "removed")] == [10, 12, 10, 0]
    assert result["malformed"] == {NO_TITLE.identifier: "no title"}


def test_a_record_of_kci_becomes_this_row(catalogue):
    with OaiServer([article(8, title=unicodedata.normalize("NFD", "유아의\n또래 & 관계"))]) as server:
        run(server, catalogue)
    assert read_jsonl(catalogue) == [ROW]


def test_a_row_matches_one_term_of_each_list(catalogue, tmp_path):
    items = [article(1), article(2, title="노인의 여가"), article(3, "2026-03-03", subject="기계공학")]
    with OaiServer(items) as server:
        for selection, kept in SELECTIONS:
            run(server, path := tmp_path / f"{selection}.jsonl", **selection)
            assert numbers(path) == kept, selection
    with pytest.raises(ValueError, match="'유아', expected a list of words"):
        Selection(fields="유아")


@pytest.mark.parametrize(
    "broken", [b"A & B</record>", b"<t></record>", b"<![CDATA[ </record>", b"\xff</record>", b"<t>"]
)
def test_a_record_whose_xml_is_broken_costs_only_itself(broken, catalogue):
    def damage(_, xml: bytes) -> bytes:
        return xml.replace(b"<metadata><broken/></metadata></record>", broken)

    breaking = [Item(name, "2026-03-01", "<broken/>") for name in ("oai:a", "oai:b")]
    with OaiServer([article(1), breaking[0], article(2), article(3), breaking[1]], damage=damage) as server:
        result = run(server, catalogue)
    assert numbers(catalogue) == [1, 2, 3] and result["malformed"].keys() == {"oai:a", "oai:b"}


def test_requests_are_named_and_keep_their_pace(catalogue):
    with OaiServer(papers()) as server:
        harvest_catalogue(server.endpoint, catalogue, Selection(), "lab@example.org", pause_seconds=0.05)
    times, _, names = zip(*server.asked, strict=True)
    assert min(later - earlier for earlier, later in itertools.pairwise(times)) >= 0.05
    assert set(names) == {"ParentCare/0.1.0 (OAI-PMH harvester of research metadata; lab@example.org)"}


def test_a_busy_service_is_left_alone_as_long_as_it_asks(catalogue):
    soon = email.utils.format_datetime(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2), usegmt=True)
    with OaiServer(papers(), busy={2: "1", 4: soon}) as server:
        assert run(server, catalogue)["rows"] == 10
    (first, asked, _), (second, asked_again, _) = server.asked[2:4]
    assert asked == asked_again and second - first >= 1


def test_nobody_there_is_one_sentence(catalogue):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}/oai"
    with pytest.raises(HarvestError, match="/oai cannot be harvested: Connection refused; what came before is kept"):
        harvest_catalogue(endpoint, catalogue, Selection(), "", 0)


@pytest.mark.parametrize("sent", [b"<html><p>moved</p></html>", b"<OAI-PMH><ListRecords><record></record>", b""])
def test_after_an_unusable_answer_what_came_is_kept(sent, catalogue):
    with OaiServer(papers(), damage=lambda n, xml: sent if n == 3 else xml) as server:
        with pytest.raises(HarvestError, match=r"answers '.*', expected whole OAI-PMH XML; .*run it again to go on"):
            run(server, catalogue)
        assert numbers(catalogue) == [1, 2, 3, 4, 5]
        assert run(server, catalogue)["rows"] == 10 and len(server.pages_asked()) == 5


def test_a_format_that_the_service_forgets_is_asked_for_again(catalogue):
    with OaiServer(papers(), forgets_format=True) as server:
        assert run(server, catalogue)["rows"] == 10
    assert ["metadataPrefix" in query for query in server.pages_asked()] == [True, False, True, True, True]


def test_an_expired_token_begins_the_list_again_once(catalogue):
    refusal = f'{ROOT}<error code="badResumptionToken">expired</error></OAI-PMH>'.encode()
    with OaiServer(papers(), damage=lambda n, xml: refusal if n in (2, 4, 7) else xml) as server:
        with pytest.raises(HarvestError, match="refuses: badResumptionToken, expired; what came before is kept"):
            run(server, catalogue)
        assert len(server.pages_asked()) == 4
        result = run(server, catalogue)
    assert ["from" in query for query in server.pages_asked()[4:]] == [False, False, False, True, False, False, False]
    assert numbers(catalogue) == list(range(1, 11)) and (result["listed"], result["matched"]) == (12, 10)


@pytest.mark.parametrize("pages_between_saves, cursors", [(1, "03699"), (2, "036969")])
def test_a_killed_harvest_resumed_is_the_harvest_that_was_not(pages_between_saves, cursors, catalogue, tmp_path):
    code = "import sys; from parentcare.data import harvest as h; h.PAGES_BETWEEN_SAVES = int(sys.argv.pop());"
    code += "h.harvest_catalogue(*sys.argv[1:], h.Selection(), '', 0)"
    with OaiServer(papers()) as server:
        whole = run(server, tmp_path / "whole.jsonl")
        server.asked.clear()
        server.damage = lambda n, xml: os.kill(process.pid, signal.SIGKILL) or xml if n == 4 else xml
        command = [sys.executable, "-c", code, server.endpoint, str(catalogue), str(pages_between_saves)]
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.DEVNULL)
        assert process.wait(timeout=20) == -signal.SIGKILL
        resumed = run(server, catalogue)
    assert "".join(query.get("resumptionToken", "0")[-1] for query in server.pages_asked()) == cursors
    assert resumed == whole and catalogue.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_the_next_harvest_asks_for_what_changed_and_applies_it(catalogue):
    with OaiServer(papers()) as server:
        run(server, catalogue, fields=["유아"])
        gone = Item(server.items[1].identifier, "2026-06-30", None)
        left = article(3, "2026-07-01", subject="법학")
        server.items = [article(11, "2026-07-02"), article(1, "2026-07-01", "새 제목"), gone, left]
        server.today = "2026-07-31"
        result = run(server, catalogue, fields=["유아"])
        again = run(server, catalogue, fields=["유아"])
    assert numbers(catalogue) == [1, 4, 5, 6, 7, 8, 9, 10, 11] and read_jsonl(catalogue)[0]["title"] == "새 제목"
    assert [query["from"] for query in server.pages_asked() if "from" in query][1:] == ["2026-06-30", "2026-07-31"]
    assert (result["listed"], result["removed"], again["listed"], again["rows"]) == (4, 2, 0, 9)


def test_a_catalogue_of_another_selection_is_left_alone(catalogue):
    with OaiServer(papers()) as server:
        run(server, catalogue)
        before = catalogue.read_bytes()
        with pytest.raises(ValueError, match=r"catalogue.jsonl was harvested from .*expected .*'법학'.*move it away"):
            run(server, catalogue, journals=["법학"])
    assert catalogue.read_bytes() == before


def test_a_page_that_cannot_be_taken_is_asked_for_again(catalogue, monkeypatch):
    items = [article(n, "2026-03-01") for n in range(1, 21)]
    taken = harvest.apply_page

    def break_off(page, selection, rows, progress):
        if rows:
            raise HarvestError("no record of a page is as expected")
        taken(page, selection, rows, progress)

    with OaiServer(items) as server:
        monkeypatch.setattr(harvest, "apply_page", break_off)
        with pytest.raises(HarvestError):
            run(server, catalogue)
        monkeypatch.setattr(harvest, "apply_page", taken)
        assert run(server, catalogue)["rows"] == len(read_jsonl(catalogue)) == 20

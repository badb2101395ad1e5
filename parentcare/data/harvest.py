"""KCI's metadata and abstracts, filtered, into data/catalogue.jsonl; it never holds the body of a paper.

The service knows no topics, so records are filtered here. The rows are written before the resumption token that
follows them: a killed harvest goes on there. Protocol: https://www.openarchives.org/OAI/openarchivesprotocol.html
"""

import dataclasses
import re
import time
from pathlib import Path

import requests
from lxml import etree
from sickle import Sickle
from urllib3.util import Retry

from parentcare import __version__
from parentcare.data.records import RejectedRow, flat_key, normalise_text, read_jsonl, write_jsonl
from parentcare.manifest import read_json, short_path, write_json

PREFIX = {"metadataPrefix": "oai_kci"}
OAI = "{http://www.openarchives.org/OAI/2.0/}"
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
RECORD = re.compile(rb"<record[\s>].*?(?=<record[\s>]|<resumptionToken|</ListRecords>)", re.DOTALL)
IDENTIFIER = re.compile(rb"<identifier>\s*([^<\s]+)")
NETWORK_CAUSE = re.compile(r"timed out|certificate verify failed|(?<=\] )[^'\"\[\])]+")
POLITENESS = {"max_retries": 4, "retry_status_codes": (429, 502, 503, 504), "timeout": (10, 60)}
PAGES_BETWEEN_SAVES = 20  # a kill costs at most asking for these again
KEPT = "what came before is kept; run it again to go on"
COUNTS = {"listed": 0, "matched": 0, "removed": 0}
# where a list begins, beside its request and its days; `malformed` is identifier → reason
START = {"token": None, "token_arguments": {}, "restarted": False, "complete": False, "counts": COUNTS, "malformed": {}}


class HarvestError(ValueError):
    """A service that gives no usable answer; the message says what came, and what to do."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """Which records are kept: those that contain a term of each list that has any; case and spaces do not count."""

    fields: list[str] = ()
    journals: list[str] = ()
    title_terms: list[str] = ()
    since: str = ""  # YYYY-MM-DD: a day of change in the service, not of publication

    def __post_init__(self):
        if wrong := [terms for terms in (self.fields, self.journals, self.title_terms) if isinstance(terms, str)]:
            raise ValueError(f"a selection has {wrong[0]!r}, expected a list of words")

    def matches(self, row: dict, field: str | None) -> bool:
        """Return whether a row of the catalogue, in a research field, belongs to the selection."""
        titles = f"{row['title']}\n{row['title_en']}"
        pairs = ((self.fields, field), (self.journals, row["journal"]), (self.title_terms, titles))
        return all(not terms or any(flat_key(term) in flat_key(text or "") for term in terms) for terms, text in pairs)


def harvest_catalogue(
    endpoint: str, catalogue_path: Path, selection: Selection, contact: str, pause_seconds: float = 1.0
) -> dict:
    """Return {"rows", "listed", "matched", "removed", "malformed", "until"}; malformed: id → reason.

    Run again, it goes on where it was stopped or, once complete, asks for what changed since; `contact` is an address
    for the User-Agent. Raises HarvestError, and ValueError where the catalogue is another selection's.
    """
    client, catalogue = PoliteClient(endpoint, contact, pause_seconds), Path(catalogue_path)
    progress, pages = open_progress(client, catalogue, selection), 0
    rows = {row["id"]: row for row in read_jsonl(catalogue)} if catalogue.exists() else {}
    write_json(catalogue.with_suffix(".harvest.json"), progress)
    try:
        while not progress["complete"]:
            page, token = ask_page(client, progress)
            apply_page(page, selection, rows, progress)
            pages, progress["token"], progress["complete"] = pages + 1, token, not token
            if pages % PAGES_BETWEEN_SAVES == 0:
                save(catalogue, rows, progress)
                print(f"page {pages:,}: {progress['counts']}, malformed: {len(progress['malformed']):,}", flush=True)
    finally:
        save(catalogue, rows, progress)
    outcome = {"malformed": progress["malformed"], "until": progress["until_date"]}
    return {"rows": len(rows)} | progress["counts"] | outcome


def open_progress(client: "PoliteClient", catalogue: Path, selection: Selection) -> dict:
    """Return the stored progress or, if that is complete or there is none, a new list's. Raises ValueError."""
    request = f"{client.endpoint} with {selection}"
    stored = read_json(catalogue.with_suffix(".harvest.json"), {}) if catalogue.exists() else {}
    if catalogue.exists() and stored.get("request") != request:
        found = f"{short_path(catalogue)} was harvested from {stored.get('request')}"
        raise ValueError(f"{found}, expected {request}: move it away, or name another catalogue_path")
    if stored and not stored["complete"]:
        return stored | {"restarted": False}
    _, service = client.ask(verb="Identify")
    earliest, today = service.findtext(f".//{OAI}earliestDatestamp"), service.findtext(f"{OAI}responseDate")
    if not earliest or not today:
        raise HarvestError(f"{client.endpoint} does not say what it is, expected an OAI-PMH service")
    # the last day is asked again: more may have come on it
    first_day = stored.get("until_date") or selection.since or earliest[:10]
    return {"request": request, "from_date": first_day, "until_date": today[:10]} | START


def save(catalogue: Path, rows: dict[str, dict], progress: dict) -> None:
    """Write the rows, then the progress."""
    write_jsonl(catalogue, (rows[name] for name in sorted(rows)))
    write_json(catalogue.with_suffix(".harvest.json"), progress)


def ask_page(client: "PoliteClient", progress: dict) -> tuple[bytes, str | None]:
    """Return (XML of the page that `progress` stands before, token of the one after). Raises HarvestError."""
    token = progress["token"]
    # without dates KCI is reported to list a hundred records and no more
    arguments = PREFIX | {"set": "ARTI", "from": progress["from_date"], "until": progress["until_date"]}
    if token:
        arguments = {"resumptionToken": token} | progress["token_arguments"]
    page, root = client.ask(verb="ListRecords", **arguments)
    error = root.find(f"{OAI}error")
    if error is not None:
        if error.get("code") == "noRecordsMatch" and not token:
            return b"", None
        if error.get("code") != "badResumptionToken" or progress["restarted"]:
            raise HarvestError(f"{client.endpoint} refuses: {error.get('code')}, {error.text}; {KEPT}")
        print(f"the service no longer takes its token; asking again from {progress['from_date']}", flush=True)
        progress |= START | {"restarted": True}
        return ask_page(client, progress)
    if token and not progress["token_arguments"] and re.search(rb"<(\w+:)?dc[\s>]", page):
        # KCI is reported to forget the format: what follows a token sent alone, as the protocol has it, is oai_dc
        progress["token_arguments"] = PREFIX
        return ask_page(client, progress)
    return page, root.findtext(f".//{OAI}resumptionToken") or None


def apply_page(page: bytes, selection: Selection, rows: dict[str, dict], progress: dict) -> None:
    """Put what matches into `rows`, take out what was deleted or matches no more, and count."""
    head, records, changes, malformed = page.partition(b"<record")[0], RECORD.findall(page), {}, {}
    for number, xml in enumerate(records, start=progress["counts"]["listed"] + 1):
        name = b"".join(IDENTIFIER.findall(xml)[:1]).decode(errors="replace")
        try:
            record = etree.fromstring(head + xml + b"</ListRecords></OAI-PMH>", PARSER)
            changes[name] = read_row(record, name, selection)
        except (RejectedRow, etree.XMLSyntaxError) as error:
            malformed[name or f"record {number:,}"] = str(error)
    if len(malformed) == len(records) > 9:
        raise HarvestError(f"no record of a page is as expected ({PREFIX}): {next(iter(malformed.items()))}")
    kept = {name: row for name, row in changes.items() if row}
    removed = [name for name in changes.keys() - kept.keys() if rows.pop(name, None)]
    rows.update(kept)
    found = {"listed": len(records), "matched": len(kept), "removed": len(removed)}
    progress["counts"] = {name: progress["counts"][name] + count for name, count in found.items()}
    progress["malformed"] = progress["malformed"] | malformed


def read_row(record: etree._Element, name: str, selection: Selection) -> dict | None:
    """Return the catalogue's row of an `oai_kci` record, None if deleted or not selected. Raises RejectedRow.

    `title` and `abstract` are in the original language, maybe English; `open_access` is KCI's word, None if unsaid.
    """
    if record.find(f".//{OAI}header[@status='deleted']") is not None:
        return None
    titles = {part.get("lang"): _flatten(part) for part in record.iterfind(".//{*}article-title")}
    abstracts = {part.get("lang"): _flatten(part) for part in record.iterfind(".//{*}abstract")}
    title = titles.get("original") or titles.get("foreign") or titles.get("english")
    if not name or not title:
        raise RejectedRow("no title" if name else "no identifier")
    year, doi = _text(record, "pub-year") or "", _text(record, "doi") or ""
    row = {
        "id": name,
        "title": title,
        "title_en": titles.get("english") or None,
        "authors": _texts(record, "author-name/{*}author/{*}name"),
        "year": int(year) if re.fullmatch(r"\d{4}", year) else None,
        "journal": _text(record, "journal-name"),
        "abstract": abstracts.get("original") or None,
        "abstract_en": abstracts.get("english") or None,
        "keywords": _texts(record, "keyword-group/{*}keyword"),
        "open_access": {"Y": True, "N": False}.get(_text(record, "orte-open-yn")),
        "license": _text(record, "license"),
        "doi": re.sub(r"^https?://(dx\.)?doi\.org/", "", doi) or None,
        "url": _text(record, "articleInfo/{*}url"),
        "datestamp": _text(record, "datestamp"),
    }
    return row if selection.matches(row, _text(record, "article-categories")) else None


class PoliteClient(Sickle):
    """A Sickle that names itself, keeps its pace, and waits when told to."""

    def __init__(self, endpoint: str, contact: str, pause_seconds: float):
        if not contact.isascii():
            raise ValueError(f"contact is {contact!r}; expected an e-mail or web address in ASCII")
        name = f"ParentCare/{__version__} (OAI-PMH harvester of research metadata; {contact})"
        super().__init__(endpoint, headers={"User-Agent": name}, **POLITENESS)
        self.pause_seconds = pause_seconds

    def ask(self, **arguments: str) -> tuple[bytes, etree._Element]:
        """Return (the answer, its root without records, one of which may be broken). Raises HarvestError."""
        time.sleep(self.pause_seconds)
        try:
            response = self.harvest(**arguments).http_response
            root = etree.fromstring(RECORD.sub(b"", response.content), PARSER)
        except requests.RequestException as error:
            reason = (NETWORK_CAUSE.search(str(error)) or [str(error)[:120]])[0]
            raise HarvestError(f"{self.endpoint} cannot be harvested: {reason}; {KEPT}") from error
        except etree.XMLSyntaxError:
            root = etree.Element("unreadable")
        if root.tag != f"{OAI}OAI-PMH":
            found = " ".join(response.text.split())[:80]
            raise HarvestError(f"{response.url} answers {found!r}, expected whole OAI-PMH XML; {KEPT}")
        return response.content, root

    def get_retry_after(self, http_response: requests.Response) -> float:
        """Return the seconds that Retry-After asks for, which Sickle cannot read where it is a date."""
        value = http_response.headers.get("Retry-After")
        return max(self.pause_seconds, Retry().parse_retry_after(value)) if value else self.default_retry_after


def _texts(record: etree._Element, path: str) -> list[str]:
    return [text for part in record.iterfind(f".//{{*}}{path}") if (text := _flatten(part))]


def _text(record: etree._Element, path: str) -> str | None:
    return next(iter(_texts(record, path)), None)


def _flatten(element: etree._Element) -> str:
    return " ".join(normalise_text("".join(element.itertext())).split())

"""A service on 127.0.0.1 that speaks OAI-PMH 2.0 the way KCI's is described to, troubles included."""

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

ROOT = '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
FORMATS = {"oai_dc": "http://www.openarchives.org/OAI/2.0/oai_dc/", "oai_kci": "http://www.kci.go.kr/kciportal/OAI/"}
SETS = {"ARTI": "Article", "ARTI_CONF": "Conference Article", "JOUR": "Journal"}


@dataclass
class Item:
    """A record: header fields and the XML inside its metadata; None for a deleted one."""

    identifier: str
    datestamp: str
    metadata: str | None


def article(number: int, datestamp: str = "2026-03-01", title: str = "", subject: str = "유아교육학") -> Item:
    """Return a record with every field of oai_kci, told from others by its number."""
    metadata = f"""<oai_kci xmlns="{FORMATS["oai_kci"]}"><journalInfo><journal-name>가상유아교육연구</journal-name>
<publisher-name>가상학회</publisher-name><pub-year>2024</pub-year></journalInfo>
<articleInfo article-id="ART{number:09}"><article-categories>{subject}</article-categories><title-group>
<article-title lang="original"><![CDATA[{title or f"유아의 또래 관계 {number}"}]]></article-title>
<article-title lang="english">Peer relations of young children {number}</article-title></title-group>
<author-group><author>김가상(가상대학교)</author><author>이예시(가상대학교(서울))</author></author-group>
<author-name><author><name>김가상</name><affiliation>가상대학교</affiliation></author>
<author><name>이예시</name><affiliation>가상대학교(서울)</affiliation></author></author-name>
<abstract-group><abstract lang="original">또래 관계를 살펴보았다 &lt; {number}.</abstract>
<abstract lang="english">We looked at peers &amp; play.</abstract></abstract-group><language>한국어</language>
<orte-open-yn>{"YN"[number % 2]}</orte-open-yn><doi>https://doi.org/10.0000/test.{number}</doi><uci/>
<url>https://example.org/ART{number:09}</url></articleInfo></oai_kci>"""
    return Item(f"oai:example.org:ARTI/{number}", datestamp, metadata)


@dataclass
class OaiServer:
    """The service; use it as a context manager. `asked` has (time, arguments, User-Agent) of each request."""

    items: list[Item]
    today: str = "2026-06-30"
    busy: dict[int, str] = field(default_factory=dict)  # n-th ListRecords → the Retry-After of its 503
    forgets_format: bool = False  # answers oai_dc to a token sent alone, as KCI is reported to
    damage: object = None  # called with (n, XML) of the n-th ListRecords, returns what is sent
    asked: list = field(default_factory=list)

    def __enter__(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
                service.asked.append((time.monotonic(), query, self.headers["User-Agent"]))
                status, headers, body = service.answer(query)
                self.send_response(status)
                for header in headers.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}/oai/request"
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def pages_asked(self) -> list[dict]:
        return [query for _, query, _ in self.asked if query.get("verb") == "ListRecords"]

    def answer(self, query: dict) -> tuple[int, dict, bytes]:
        number = len(self.pages_asked()) if query["verb"] == "ListRecords" else 0
        if number in self.busy:
            return 503, {"Retry-After": self.busy[number]}, b"busy"
        content = getattr(self, query["verb"])(query)
        body = f"{ROOT}<responseDate>{self.today}T00:00:00Z</responseDate>{content}</OAI-PMH>".encode()
        return 200, {}, self.damage(number, body) if self.damage and number else body

    def Identify(self, _) -> str:
        about = {"protocolVersion": "2.0", "earliestDatestamp": "2013-03-21", "deletedRecord": "transient"}
        return elements({"Identify": elements(about | {"granularity": "YYYY-MM-DD"})})

    def ListSets(self, _) -> str:
        sets = (elements({"set": elements({"setSpec": spec, "setName": name})}) for spec, name in SETS.items())
        return elements({"ListSets": "".join(sets)})

    def ListMetadataFormats(self, _) -> str:
        formats = (elements({"metadataPrefix": name, "metadataNamespace": url}) for name, url in FORMATS.items())
        return elements({"ListMetadataFormats": "".join(elements({"metadataFormat": one}) for one in formats)})

    def ListRecords(self, query: dict) -> str:
        """Return three records and, while there are more, a token like from:until:3:cursor."""
        token = re.fullmatch(r"([\d-]*):([\d-]+):3:(\d+)", query.get("resumptionToken", ""))
        if "resumptionToken" in query and not token:
            return error("badResumptionToken")
        if token and query.keys() - {"verb", "resumptionToken"} and not self.forgets_format:
            return error("badArgument")
        prefix = query.get("metadataPrefix") or ("oai_dc" if self.forgets_format else "oai_kci")
        start, end, cursor = token.groups() if token else (query.get("from", ""), query.get("until", "9999"), 0)
        found, after = [item for item in self.items if start <= item.datestamp <= end], int(cursor) + 3
        if not found or query.get("set", "ARTI") != "ARTI":
            return error("noRecordsMatch")
        records = "".join(describe(item, prefix) for item in found[after - 3 : after])
        more = f"{start}:{end}:3:{after}" if after < len(found) else ""
        return f'<ListRecords>{records}<resumptionToken cursor="{cursor}">{more}</resumptionToken></ListRecords>'


def describe(item: Item, prefix: str) -> str:
    deleted = ' status="deleted"' if item.metadata is None else ""
    header = elements({"identifier": item.identifier, "datestamp": item.datestamp, "setSpec": "ARTI"})
    content = item.metadata if prefix == "oai_kci" else f'<dc xmlns="{FORMATS["oai_dc"]}"><title>제목</title></dc>'
    return f"<record><header{deleted}>{header}</header>{'' if deleted else f'<metadata>{content}</metadata>'}</record>"


def elements(described: dict[str, str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in described.items())


def error(code: str) -> str:
    return f'<error code="{code}">refused</error>'

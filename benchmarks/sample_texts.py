"""What a made-up journal prints of a paper and around it: authors, notes, a table, references, an English page."""

import dataclasses
import random
import re
from collections.abc import Iterable, Iterator

import sample_journals as stock
from sample_journals import HOUSES, House

PUA_PAPERS = {11: "\uf06c", 52: "\uf0a7", 93: "\uf0d8"}
FULL_WIDTH_PAPERS = {24, 65, 106}
# the last paper whose lines break at spaces: one in seven up to here
LAST_BY_WORDS = 105
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ENGLISH_SHARE = 1 / 3
QUALITATIVE = re.compile("면담|질적|사례|내용|실행|참여")


@dataclasses.dataclass(frozen=True)
class Block:
    """A paragraph or a table to be printed; `inside` is a table that stands in the paragraph's middle."""

    role: str
    text: str = ""
    section: str = ""
    rows: tuple[tuple[str, ...], ...] = ()
    inside: "tuple[Block, ...]" = ()


@dataclasses.dataclass(frozen=True)
class Issue:
    """Where a paper appeared, as far as it can appear: all of it drawn from the paper's id."""

    paper: dict
    number: int
    house: House
    volume: int
    issue: int
    first_page: int
    pages: int
    authors: tuple[tuple[str, str], ...]

    @property
    def by_words(self) -> bool:
        """Return whether the lines break at spaces only."""
        return self.number % 7 == 3 and self.number <= LAST_BY_WORDS

    @property
    def label(self) -> str:
        """Return journal, volume and number as the journal prints them."""
        return f"{self.house.name} 제{self.volume}권 제{self.issue}호"

    def random(self, purpose: str) -> random.Random:
        """Return a generator that gives this paper the same numbers on every machine."""
        return random.Random(f"{self.paper['paper_id']} {purpose}")


def describe_issue(paper: dict, pages: int) -> Issue:
    """Return the issue in which a paper of so many pages appeared."""
    number = int(paper["paper_id"][-3:])
    draw = random.Random(f"{paper['paper_id']} issue")
    house = HOUSES[(number - 1) % len(HOUSES)]
    authors = tuple(draw.sample(stock.AUTHORS, draw.choice((1, 2, 2, 3))))
    return Issue(paper, number, house, paper["year"] - 2003, draw.randint(1, 4), draw.randint(1, 380), pages, authors)


# --- the paper itself ----------------------------------------------------------------------------


def contents(issue: Issue) -> list[Block]:
    """Return the blocks of a paper in reading order, without running heads and first-page notes."""
    tail = english_page(issue) if issue.random("tail").random() < ENGLISH_SHARE else []
    return [*front_matter(issue), *body(issue), *references(issue), *tail]


def with_tables(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield the blocks, each followed by the table inside it."""
    for block in blocks:
        yield dataclasses.replace(block, inside=())
        yield from block.inside


def front_matter(issue: Issue) -> list[Block]:
    """Return masthead, DOI, title, authors, abstract and keywords."""
    paper, house, first = issue.paper, issue.house, issue.first_page
    doi = f"10.0000/sample.{paper['year']}.{issue.volume}.{issue.issue}.{first}"
    places = "  ".join(f"{stock.SCHOOLS[i]}{'*' * (i + 1)}" for i in range(len(issue.authors)))
    title, colon, subtitle = paper["title"].partition(": ")
    abstract = " ".join(sentence["text"] for sentence in paper["abstract"])
    return [
        Block("masthead", f"{issue.label} ({paper['year']}), pp. {first}~{first + issue.pages - 1}"),
        Block("doi", f"https://doi.org/{doi}" if house.notes else f"DOI: {doi}   ISSN 0000-0000"),
        Block("title", title + colon.strip()),
        *([Block("title", subtitle)] if subtitle else []),
        Block("authors", "   ".join(f"{name}{'*' * (i + 1)}" for i, (name, _) in enumerate(issue.authors))),
        Block("affiliation", places),
        Block("abstract_head", house.abstract_head),
        Block("abstract", abstract, "초록"),
        Block("keywords", bullet(issue) + house.keyword_label + ", ".join(paper["keywords"])),
    ]


def body(issue: Issue) -> list[Block]:
    """Return the four sections, a table after the first paragraph of the results or inside the last."""
    blocks = []
    for heading, (section, text) in zip(issue.house.headings.split("/"), issue.paper["sections"].items(), strict=True):
        blocks.append(Block("heading", bullet(issue) + heading, section))
        paragraphs = [Block("body", paragraph, section) for paragraph in text.split("\n")]
        if section == "결과" and issue.house.table_inside:
            paragraphs[-1] = dataclasses.replace(paragraphs[-1], inside=tuple(table(issue)))
        elif section == "결과":
            paragraphs[1:1] = table(issue)
        blocks += paragraphs
    return blocks


def bullet(issue: Issue) -> str:
    """Return the private-use bullet that a few papers put before headings, or nothing."""
    return f"{PUA_PAPERS[issue.number]} " if issue.number in PUA_PAPERS else ""


def table(issue: Issue) -> list[Block]:
    """Return caption, rows and note of a table with made-up numbers and the paper's own sample size."""
    draw, paper = issue.random("table"), issue.paper
    counts = re.findall(r"(\d[\d,]*)(?:명|쌍|가구|편|권|건|회)", paper["sections"]["연구방법"])
    size = next((n for n in (int(count.replace(",", "")) for count in counts) if n >= 8), 60)
    caption, note = draw.choice(stock.CAPTIONS), draw.choice(stock.TABLE_NOTES)
    if QUALITATIVE.search(paper["design"]):
        title, rows, note = "연구 자료의 일반적 특성", frequency_rows(draw, size), "주. 중복 응답을 포함함."
    else:
        title, rows = f"주요 변인의 기술통계 (N={size})", mean_rows(draw, paper["keywords"][:4])
    return [Block("caption", caption.format(title)), Block("table", rows=rows), Block("table_note", note)]


def mean_rows(draw: random.Random, labels: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return a table of means and standard deviations on scales of five points."""
    rows = []
    for label in labels:
        low = draw.randint(1, 3)
        mean, deviation = draw.uniform(low + 0.5, low + 3.5), draw.uniform(0.3, 1.2)
        rows.append((label, f"{mean:.2f}", f"{deviation:.2f}", f"{low}~{low + 4}"))
    return (("구분", "평균", "표준편차", "범위"), *rows)


def frequency_rows(draw: random.Random, size: int) -> tuple[tuple[str, ...], ...]:
    """Return a table of counts and percentages that sum to the sample."""
    first = draw.randint(size // 4, size // 2)
    second = draw.randint(1, (size - first) // 2)
    labels = draw.choice((("가 유형", "나 유형", "다 유형"), ("초기", "중기", "후기"), ("낮음", "보통", "높음")))
    counts = zip((*labels, "계"), (first, second, size - first - second, size), strict=True)
    return (("구분", "빈도", "비율(%)"), *((label, f"{n}", f"{100 * n / size:.1f}") for label, n in counts))


def references(issue: Issue) -> list[Block]:
    """Return a reference list that nobody could take for a real one."""
    draw = issue.random("references")
    korean, english = draw.sample(stock.CITED, draw.randint(4, 7)), draw.sample(stock.CITED_ENGLISH, draw.randint(2, 4))
    texts = [korean_reference(name, issue, draw) for name in sorted(korean)]
    texts += [english_reference(name, issue, draw) for name in sorted(english)]
    return [Block("tail_head", issue.house.tail_head), *(Block("reference", text) for text in texts)]


def korean_reference(name: str, issue: Issue, draw: random.Random) -> str:
    """Return a made-up Korean reference to one or two authors, on one of the paper's keywords."""
    others = [other for other in stock.CITED if other != name]
    names = name + draw.choice(("", "", f", {draw.choice(others)}"))
    year, volume, page = draw.randint(1996, issue.paper["year"] - 1), draw.randint(2, 40), draw.randint(1, 300)
    title = draw.choice(stock.CITED_TITLES).format(draw.choice(issue.paper["keywords"]))
    return f"{names} ({year}). {title}. 가상학회지, {volume}({draw.randint(1, 4)}), {page}-{page + 17}."


def english_reference(name: str, issue: Issue, draw: random.Random) -> str:
    """Return a made-up English reference."""
    year, volume, page = draw.randint(1985, issue.paper["year"] - 1), draw.randint(3, 60), draw.randint(1, 600)
    title = draw.choice(stock.CITED_ENGLISH_TITLES)
    return f"{name} ({year}). {title} Journal of Invented Results, {volume}, {page}-{page + 14}."


def english_page(issue: Issue) -> list[Block]:
    """Return the English abstract with which a third of the papers end."""
    draw = issue.random("english")
    text = " ".join(draw.choice(sentences) for sentences in stock.ENGLISH_SENTENCES)
    return [
        Block("english_title", f"{draw.choice(stock.ENGLISH_TITLES)}: Sample {issue.number}"),
        Block("english_authors", "  ".join(name for _, name in issue.authors)),
        Block("abstract_head", draw.choice(("Abstract", "ABSTRACT", "< Abstract >"))),
        Block("english", text),
        Block(
            "english", draw.choice(("Key words: ", "Keywords: ")) + ", ".join(draw.sample(stock.ENGLISH_KEYWORDS, 4))
        ),
    ]


# --- around the paper ----------------------------------------------------------------------------


def first_page_notes(issue: Issue) -> list[str]:
    """Return the notes at the foot of the first page: correspondence and dates."""
    name, english = issue.authors[-1]
    mail, phone = f"sample{issue.number:03d}@example.com", "000-0000-0000"
    marks = [f"{'*' * (i + 1)} {stock.SCHOOLS[i]} {stock.DEGREES[i]}" for i in range(len(issue.authors))]
    return [
        *(
            [*marks[:-1], f"{marks[-1]}(교신저자, {mail}, {phone})"],
            [f"†교신저자: {name}, (00000) 가상시 견본구 예시로 1, {stock.SCHOOLS[0]}, Tel: {phone}, E-mail: {mail}"],
            [
                f"* 이 논문은 {issue.paper['year']}년도 가상연구재단의 지원을 받은 것으로 꾸민 견본임.",
                f"Corresponding Author: {english}, Imaginary University, E-mail: {mail}, Tel. (00) 000-0000",
            ],
        )[issue.house.notes],
        stock.DATES[issue.house.notes].format(*note_dates(issue)),
        "※ 시험을 위해 지어낸 가상의 논문임 (CC0 1.0)",
    ]


def note_dates(issue: Issue) -> list[str]:
    """Return when the paper came in, was reviewed and was accepted, in the journal's notation."""
    draw, year = issue.random("dates"), issue.paper["year"]
    days = [(year, month, draw.randint(1, 28)) for month in sorted(draw.sample(range(1, 12), 3))]
    return [("{}. {}. {}.", "{}년 {}월 {}일", "{}.{:02d}.{:02d}")[issue.house.notes].format(*day) for day in days]


def running_head(issue: Issue, page: int) -> str:
    """Return the head of a later page: the journal on even pages, the paper on odd ones."""
    if (issue.first_page + page) % 2 == 0:
        return issue.label if issue.house.notes else f"{issue.label}({issue.paper['year']})"
    return short_title(issue)


def page_number(issue: Issue, page: int) -> str:
    """Return the foot of a page, with its number as the journal prints it."""
    number = str(issue.first_page + page)
    style = issue.house.number_style
    if "journal" in style and (issue.first_page + page) % 2:
        style = "{title} / {n}"
    number = number.translate(FULL_WIDTH) if issue.number in FULL_WIDTH_PAPERS else number
    fields = {"journal": issue.house.name, "volume": issue.volume, "issue": issue.issue, "title": short_title(issue)}
    return style.format(n=number, **fields)


def short_title(issue: Issue) -> str:
    """Return the title as far as a running head has room for it."""
    title = issue.paper["title"].split(": ")[0]
    return title if len(title) <= 26 else title[:24].rstrip() + "…"

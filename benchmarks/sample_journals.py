"""Made-up Korean journals: house styles, and the stock of names and sentences that they print from."""

import dataclasses

POINTS_PER_MM = 72 / 25.4


@dataclasses.dataclass(frozen=True)
class Geometry:
    """A journal's page in points, and how its word processor breaks lines."""

    width: float
    height: float
    margin_x: float
    margin_y: float
    gap: float
    # 장평: the width of the letters, 1 = as designed
    scale: float
    # False: inside words at the column's end and no space glyph there, as Hancom does
    by_words: bool

    @property
    def inner_width(self) -> float:
        """Return the width between the margins."""
        return self.width - 2 * self.margin_x


@dataclasses.dataclass(frozen=True)
class Style:
    """How a kind of paragraph is set; lengths in points."""

    role: str
    pt: float
    leading: float
    align: str = "justify"
    bold: bool = False
    first: float = 0
    rest: float = 0
    inset: float = 0
    above: float = 0
    below: float = 0
    # a glyph before the first line: the space with which some authors indent
    lead: str = ""


@dataclasses.dataclass(frozen=True)
class House:
    """A journal's house style; `size_mm` is its page, `headings` are those of the four sections."""

    name: str
    english: str
    headings: str
    abstract_head: str
    keyword_label: str
    size_mm: tuple[float, float, float, float] = (188, 257, 21, 24)
    columns: int = 2
    pt: float = 9.5
    scale: float = 0.95
    tail_head: str = "참고문헌"
    number_style: str = "- {n} -"
    notes: int = 0
    centered: bool = True
    boxed: bool = False
    lead: str = ""
    notes_in_column: bool = False
    table_inside: bool = False
    heads_first: bool = True


HOUSES = (
    House(
        *("한국가상육아학회지", "Korean Journal of Imaginary Childcare"),
        *("Ⅰ. 서 론/Ⅱ. 연구방법/Ⅲ. 연구결과/Ⅳ. 논 의", "국 문 초 록", "주제어 : "),
        boxed=True,
    ),
    House(
        *("가상아동학연구", "Imaginary Child Studies"),
        *("I. 서론/II. 연구방법/III. 결과 및 해석/IV. 논의 및 제언", "초록", "핵심어: "),
        *((182, 257, 20, 22), 2, 9.3, 0.92, "참 고 문 헌", "{n}", 1),
        notes_in_column=True,
    ),
    House(
        *("견본유아교육논집", "Specimen Papers in Early Education"),
        *("1. 서론/2. 연구 방법/3. 연구 결과/4. 논의", "< 요 약 >", "주요어 : "),
        *((188, 257, 22, 24), 2, 9.5, 0.95, "참고문헌", "{n} / {journal} 제{volume}권 제{issue}호", 2),
        centered=False,
        lead=" ",
    ),
    House(
        *("예시보육연구", "Journal of Example Day Care"),
        *("서 론/연구방법/결 과/논 의", "[초록]", "중심어: "),
        *((176, 248, 18, 22), 2, 9.2, 0.95, "참고문헌", "― {n} ―", 1),
        boxed=True,
        heads_first=False,
    ),
    House(
        *("가상부모교육학회지", "Journal of Fictional Parent Education"),
        *("Ⅰ. 서론/Ⅱ. 연구 방법/Ⅲ. 결과 및 해석/Ⅳ. 논의 및 결론", "논문개요", "키워드: "),
        *((182, 257, 28, 28), 1, 10, 1.0, "참 고 문 헌", "- {n} -", 0),
    ),
    House(
        *("한국견본가정학회지", "Korean Journal of Specimen Home Studies"),
        *("Ⅰ. 문제 제기/Ⅱ. 방 법/Ⅲ. 결 과/Ⅳ. 논 의", "요약", "주제어(Key words): "),
        *((210, 297, 22, 28), 2, 10, 0.95, "참고문헌", "{n}", 2),
        notes_in_column=True,
        lead=" ",
    ),
    House(
        *("가상발달심리", "Imaginary Developmental Psychology"),
        *("서론/방법/결과/논의", "초 록", "주요어: "),
        *((188, 257, 21, 24), 2, 9.5, 0.95, "References", "- {n} -", 1),
        heads_first=False,
    ),
    House(
        *("상상놀이연구", "Imagined Play Research"),
        *("1. 서 론/2. 연구방법/3. 연구결과 및 해석/4. 논의 및 제언", "요 약", "핵심어 : "),
        *((210, 297, 20, 26), 2, 10, 1.0, "참고문헌", "{n} / {journal} 제{volume}권 제{issue}호", 0),
        table_inside=True,
    ),
    House(
        *("가상영유아보육학", "Fictional Infant and Toddler Care"),
        *("Ⅰ. 서론/Ⅱ. 연구방법/Ⅲ. 연구결과/Ⅳ. 논의 및 제언", "국문초록", "키워드 : "),
        *((188, 257, 20, 23), 2, 9.3, 0.93, "참고문헌", "{n}", 2),
        boxed=True,
        centered=False,
        notes_in_column=True,
    ),
    House(
        *("견본생애발달논총", "Specimen Review of Life-Span Development"),
        *("Ⅰ 서론/Ⅱ 연구방법/Ⅲ 연구결과/Ⅳ 논의", "국문요약", "주제어: "),
        *((176, 248, 25, 26), 1, 9.8, 0.97, "참고문헌", "― {n} ―", 1),
        centered=False,
        lead=" ",
        heads_first=False,
    ),
    House(
        *("가상교사교육", "Imaginary Teacher Education"),
        *("Ⅰ. 연구의 필요성 및 목적/Ⅱ. 연구 방법/Ⅲ. 연구 결과/Ⅳ. 논의", "〈국문초록〉", "주제어 - "),
        *((188, 257, 21, 24), 2, 9.5, 0.95, "참고문헌", "- {n} -", 2),
        boxed=True,
    ),
    House(
        *("꾸며낸가족연구", "Made-up Family Research"),
        *("I. 서 론/II. 연 구 방 법/III. 연 구 결 과/IV. 논 의", "[요약]", "중심어 : "),
        *((182, 257, 19, 23), 2, 9.3, 0.95, "참 고 문 헌", "{n} / {journal} 제{volume}권 제{issue}호", 0),
        table_inside=True,
        heads_first=False,
    ),
)
AUTHORS = (
    *(("김가상", "Kim, Gasang"), ("이예시", "Lee, Yesi"), ("박견본", "Park, Gyeonbon"), ("최보기", "Choi, Bogi")),
    *(("정허구", "Jung, Heogu"), ("한지음", "Han, Jieum"), ("오상상", "Oh, Sangsang")),
)
SCHOOLS = ("가상대학교 아동학과", "견본대학교 유아교육과", "예시대학교 생활과학연구소", "상상육아정책연구소")
DEGREES = ("교수", "박사과정", "시간강사", "연구원")
DATES = (
    "논문접수: {} / 심사: {} / 게재확정: {}",
    "접수일 {}, 심사완료일 {}, 게재확정일 {}",
    "논문 접수 {} | 수정본 접수 {} | 게재 확정 {}",
)
CAPTIONS = ("<표 1> {}", "〈표 1〉 {}", "표 1. {}")
TABLE_NOTES = ("*p<.05, **p<.01, ***p<.001", "*p<.05.  **p<.01.", "주. 소수 셋째 자리에서 반올림함.")
CITED = ("가상저자", "견본저자", "나예시", "무명씨", "보기인", "상상가", "아무개", "지어냄", "허구인", "홍가명")
CITED_ENGLISH = ("Nobody, A.", "Fictus, B. C.", "Imaginary, D.", "Madeup, E. F.", "Placeholder, G.", "Specimen, H. J.")
CITED_TITLES = (
    "{}에 관한 가상의 연구",
    "꾸며 낸 자료로 본 {}의 발달",
    "{} 척도의 견본 제작과 타당화",
    "유아의 {} 및 관련 변인에 대한 상상적 고찰",
    "{}의 예시적 경로 분석",
    "보기 어린이집에서의 {}: 지어낸 사례",
)
CITED_ENGLISH_TITLES = (
    "An imaginary study of young children at play.",
    "Specimen results on caregiving that nobody observed.",
    "A made-up scale and its made-up validity.",
    "Placeholder findings in early childhood.",
)
ENGLISH_TITLES = ("A Study of Young Children and Their Caregivers", "Early Childhood and Care", "Children at Home")
ENGLISH_SENTENCES = (
    (
        "The purpose of this study was to examine how young children grow in the company of their caregivers.",
        "This study explored a question that is often asked about early childhood and seldom tested.",
        "Little is known about the matter studied here in Korean families with young children.",
    ),
    (
        "The participants were young children and their families, who were met at home and in day care centers.",
        "Data were collected from caregivers and children and were analyzed in the usual ways.",
        "Records of several months were read, coded, and compared by two independent raters.",
    ),
    (
        "The results showed that the first hypothesis was supported, whereas the second was not.",
        "The main findings were as follows. First, the groups differed. Second, the difference was modest.",
        "A relation was found, and it remained after the background variables were controlled.",
    ),
    (
        "These findings suggest that support should reach all families and not only a few of them.",
        "Implications for practice and the limits of the present data are discussed.",
        "It is concluded that further studies with other methods are needed.",
    ),
)
ENGLISH_KEYWORDS = ("young children", "childcare", "early development", "caregivers", "play", "family support")


# --- how a journal sets its pages ----------------------------------------------------------------


def page_geometry(house: House, by_words: bool) -> Geometry:
    """Return the journal's page in points."""
    width, height, margin_x, margin_y = (length * POINTS_PER_MM for length in house.size_mm)
    return Geometry(width, height, margin_x, margin_y, 18, house.scale, by_words)


def paragraph_styles(house: House) -> dict[str, Style]:
    """Return role → how the journal sets it."""
    pt, leading = house.pt, house.pt * (1.7 if house.columns == 1 else 1.62)
    side = "center" if house.centered else "left"
    first = 0 if house.lead else pt
    small = {"pt": pt - 0.5, "leading": leading * 0.92, "inset": 12}
    styles = [
        Style("masthead", 8, 12, "right" if house.notes == 1 else "left"),
        Style("doi", 7.5, 11, "right" if house.notes == 1 else "left", below=4),
        Style("title", 14, 21, "center", True),
        Style("authors", 10, 16, "right" if house.notes == 2 else "center", above=10),
        Style("affiliation", 8.5, 13, "right" if house.notes == 2 else "center"),
        Style("abstract_head", pt + 0.5, leading, "center", True, above=14, below=6),
        Style("abstract", **small, first=first, lead=house.lead),
        Style("keywords", **small, rest=30, above=5, below=10),
        Style("heading", pt + 1.8, leading * 1.2, side, True, above=leading * 0.9, below=leading * 0.55),
        Style("body", pt, leading, first=first, lead=house.lead),
        Style("caption", pt - 0.7, leading * 0.95, "left", above=leading * 0.6, below=3),
        Style("table", pt - 1, leading * 0.92),
        Style("table_note", pt - 1.8, leading * 0.8, "left", below=leading * 0.6),
        Style("tail_head", pt + 1.8, leading * 1.2, "center", True, above=leading, below=leading * 0.5),
        Style("reference", pt - 0.7, leading * 0.88, rest=2 * pt),
        Style("english_title", 13, 20, "center", True, above=20),
        Style("english_authors", 9.5, 15, "center", above=8),
        Style("english", **small, above=4),
        Style("note", 7.5, 11, "left"),
    ]
    return {style.role: style for style in styles}

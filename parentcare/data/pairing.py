"""From a paper's sections and its author's abstract to records of text and summary."""

SECTION_NAMES = ("서론", "이론적 배경", "연구방법", "결과", "논의", "결론")
# A whole paper's body is fitted to this many characters, the sections that the abstract reports first.
MAX_BODY_CHARS = 2_400
BODY_PRIORITY = ("결과", "논의", "결론", "연구방법", "서론", "이론적 배경")


def make_records(paper: dict) -> list[dict]:
    """Return the records of one paper: one for the whole paper and one for each reported section.

    `paper` has `paper_id`, `title`, `year`, `source`, `license`, `synthetic`, `sections` (name →
    {"text", "pages"}) in the paper's order and `abstract`, a list of {"text", "section"} where
    `section` is the name of the section that bears the sentence out, or None.
    """
    sections, abstract = paper["sections"], paper["abstract"]
    common = {key: paper[key] for key in ("paper_id", "title", "year", "source", "license", "synthetic")}
    common["summary_source"] = "author_abstract"
    whole_pages = sorted({page for section in sections.values() for page in section["pages"]})
    records = [
        {
            "id": f"{paper['paper_id']}/whole",
            "section": "whole",
            "pages": whole_pages,
            "text": fit_body(sections),
            "summary": " ".join(sentence["text"] for sentence in abstract),
        }
    ]
    for name, section in sections.items():
        reported = [sentence["text"] for sentence in abstract if sentence["section"] == name]
        if reported:
            records.append(
                {
                    "id": f"{paper['paper_id']}/{name}",
                    "section": name,
                    "pages": section["pages"],
                    "text": section["text"],
                    "summary": " ".join(reported),
                }
            )
    return [record | common for record in records]


def fit_body(sections: dict[str, dict], max_chars: int = MAX_BODY_CHARS) -> str:
    """Return the sections' text in the paper's order, at most `max_chars` long, by whole sentences.

    Results and discussion are kept first; what does not fit is taken from the other sections' ends.
    """
    kept, left = {}, max_chars
    for name in sorted(sections, key=BODY_PRIORITY.index):
        kept[name] = cut_at_sentence(sections[name]["text"], left)
        left = max(0, left - len(kept[name]) - 1)
    return "\n".join(kept[name] for name in sections if kept[name])


def cut_at_sentence(text: str, max_chars: int) -> str:
    """Return the longest run of whole sentences from the start of `text` within `max_chars`."""
    if len(text) <= max_chars:
        return text
    return text[: max(text.rfind(". ", 0, max_chars), text.rfind(".\n", 0, max_chars)) + 1]

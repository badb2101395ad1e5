import warnings

from PIL import Image

from parentcare import figures

LOG = [{"step": s, "loss": 6 - s / 10} for s in range(1, 11)] + [{"step": 10, "eval_loss": 5.2}]


def test_hangul_renders_without_a_missing_glyph(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.save_figure(
            figures.plot_keywords([("상호작용", 9), ("뷁", 3)], 10, "논문 10편"), tmp_path / "a.png", "r", "h", 1
        )
        figures.save_figure(figures.plot_loss(LOG, "note"), tmp_path / "b.png", "r", "h", 1)


def test_run_data_hash_and_seed_are_in_the_pngs_metadata(tmp_path):
    path = figures.save_figure(figures.plot_loss(LOG, "note"), tmp_path / "loss.png", "demo", "abc", 3407)
    assert {k: Image.open(path).text[k] for k in ("Run", "Data-SHA256", "Seed")} == {
        "Run": "demo",
        "Data-SHA256": "abc",
        "Seed": "3407",
    }


def test_nothing_to_show_is_an_empty_figure_and_no_error():
    assert not figures.plot_keywords([], 3, "note").axes[0].patches
    trial = {"number": 0, "state": "fail", "validation_loss": None, "recipe": True}
    labels = figures.plot_search_history([trial], "note").axes[0].get_legend_handles_labels()[1]
    assert "실패 (1)" in labels and "레시피" not in labels


def test_the_same_figure_is_written_byte_for_byte(tmp_path):
    one, two = (
        figures.save_figure(figures.plot_token_lengths([5, 9], [2, 3], 10, "t", "n"), tmp_path / name, "r", "h", 1)
        for name in ("1.png", "2.png")
    )
    assert one.read_bytes() == two.read_bytes()


def test_the_demo_and_synthetic_papers_say_so_in_the_picture():
    note = figures.source_note("demo", True, True, n=3)
    assert "합성 논문" in note and "데모 모델" in note
    assert "[" not in figures.source_note("mine", False, False, n=3)
    texts = [text.get_text() for text in figures.plot_loss(LOG, note).texts]
    assert any("데모 모델" in text for text in texts) or figures.plot_loss(LOG, note)._supxlabel.get_text() == note


def test_smoothing_keeps_a_constant_and_the_first_value():
    assert figures.smooth([3.0, 3.0, 3.0]) == [3.0, 3.0, 3.0]
    assert figures.smooth([1.0, 2.0])[0] == 1.0 and 1.0 < figures.smooth([1.0, 2.0])[1] < 2.0

from zoo.card import render
from zoo.entry import Entry


def test_a_card_says_what_a_person_asks(entry: Entry) -> None:
    card = render(entry.manifest)
    assert card.startswith("# tiny\n\nA toy.\n")
    assert 'zoo.load("tiny")' in card
    assert "denoise=0.5, sigma=25" in card
    assert "| sigma | 0 to 50 /255 | 25 |  |" in card
    assert "| psnr | 31.5 |" in card
    assert "Weights: CC0-1.0. Training data: CC0-1.0." in card


def test_text_cannot_leave_its_cell(entry: Entry) -> None:
    assert r"| removes noise \| grain |" in render(entry.manifest)


def test_a_card_depends_on_content_alone(entry: Entry) -> None:
    other = entry.manifest.replace(version="1.0.0", provenance={"host": "elsewhere"})
    assert render(other) == render(entry.manifest)
    assert (entry.folder / "README.md").read_text() == render(entry.manifest)


def test_a_card_without_results(entry: Entry) -> None:
    assert "| metric" not in render(entry.manifest.replace(metrics={}))


def test_results_are_flat_and_short(entry: Entry) -> None:
    summary = {"psnr": {"(1, 1)": 31.23456, "rows": [1, 2]}, "steps": 100, "set": "kodak", "none": None}
    card = render(entry.manifest.replace(metrics={"summary": summary}))
    assert "| psnr.(1, 1) | 31.23 |\n| set | kodak |\n| steps | 100 |\n" in card
    assert "rows" not in card

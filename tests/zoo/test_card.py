from tunable_models import ControlSpace
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


def test_rows_of_the_same_numbers_are_a_table(entry: Entry) -> None:
    vertices = {"none": {"psnr": 20.5, "best": False}, "denoise": {"psnr": 30.12345, "best": True}}
    summary = {"vertices": vertices, "odd": {"a": {"x": 1}, "b": {"y": 2}}, "one": {"a": {"x": 1}}}
    card = render(entry.manifest.replace(metrics={"summary": summary}))
    lines = ["| vertices | best | psnr |", "| --- | --- | --- |", "| denoise | True | 30.12 |"]
    assert "### vertices\n\n" + "\n".join(lines) in card
    assert "| none | False | 20.5 |" in card
    assert "| odd.a.x | 1 |\n| odd.b.y | 2 |\n| one.a.x | 1 |" in card


def test_sliders_that_share_a_sum(entry: Entry) -> None:
    space = ControlSpace.simplex("a", "b", "c")
    card = render(entry.manifest.replace(space=space.to_dict()))
    assert 'model("photo.png", a=0.3333, b=0.3333)' in card
    assert "share a sum of 1" in card
    assert "of rank 4" in render(entry.manifest.replace(rank=4))

from collections.abc import Callable

import pytest

from tunable_models import ControlSpace
from zoo.card import render_card
from zoo.entry import Entry
from zoo.errors import ManifestError


def test_a_card_says_what_a_person_asks(entry: Entry) -> None:
    card = render_card(entry.manifest)
    assert card.startswith("# tiny\n\nA toy.\n")
    assert 'zoo.load("tiny")' in card
    assert "denoise=0.5, sigma=25" in card
    assert "| sigma | 0 to 50 /255 | 25 |  |" in card
    assert "| psnr | 31.5 |" in card
    assert "Weights: CC0-1.0. Training data: CC0-1.0." in card


def test_text_cannot_leave_its_cell(entry: Entry) -> None:
    assert r"| removes noise \| grain |" in render_card(entry.manifest)


def test_a_card_depends_on_content_alone(entry: Entry) -> None:
    other = entry.manifest.replace(version="1.0.0", provenance={"host": "elsewhere"})
    assert render_card(other) == render_card(entry.manifest)
    assert (entry.folder / "README.md").read_text() == render_card(entry.manifest)


def test_a_card_without_results(entry: Entry) -> None:
    assert "| metric" not in render_card(entry.manifest.replace(metrics={}))


def test_results_are_flat_and_short(entry: Entry) -> None:
    summary = {"psnr": {"(1, 1)": 31.23456, "rows": [1, 2]}, "steps": 100, "set": "kodak", "none": None}
    card = render_card(entry.manifest.replace(metrics={"summary": summary}))
    assert "| psnr.(1, 1) | 31.23 |\n| set | kodak |\n| steps | 100 |\n" in card
    assert "rows" not in card


def test_rows_of_the_same_numbers_are_a_table(entry: Entry) -> None:
    vertices = {"none": {"psnr": 20.5, "best": False}, "denoise": {"psnr": 30.12345, "best": True}}
    summary = {"vertices": vertices, "odd": {"a": {"x": 1}, "b": {"y": 2}}, "one": {"a": {"x": 1}}}
    card = render_card(entry.manifest.replace(metrics={"summary": summary}))
    lines = ["| vertices | best | psnr |", "| --- | --- | --- |", "| denoise | True | 30.12 |"]
    assert "### vertices\n\n" + "\n".join(lines) in card
    assert "| none | False | 20.5 |" in card
    assert "| odd.a.x | 1 |\n| odd.b.y | 2 |\n| one.a.x | 1 |" in card


def test_tables_made_for_the_card_stand_in_place_of_the_summary(entry: Entry) -> None:
    table = {"title": "Noise | 25", "columns": ["", "PSNR"], "rows": [["input", "20.2"], ["output", "30.1"]]}
    card = render_card(entry.manifest.replace(metrics={"summary": {"psnr": 30.1}, "tables": [table]}))
    lines = ["### Noise | 25", "", "|  | PSNR |", "| --- | --- |", "| input | 20.2 |", "| output | 30.1 |"]
    assert "\n".join(lines) in card
    assert "| psnr | 30.1 |" not in card


def test_what_is_no_table_is_told(entry: Entry) -> None:
    for tables in ("none", [{"title": "Noise"}], [{"title": "Noise", "columns": ["PSNR"], "rows": [[20.2]]}]):
        with pytest.raises(ManifestError, match=r"metrics\.tables.*: expected tables with a title"):
            render_card(entry.manifest.replace(metrics={"tables": tables}))


def test_a_card_says_what_a_model_is_for_and_not_for(entry: Entry) -> None:
    assert "## What it is" not in render_card(entry.manifest)
    uses = {"intended_use": ["Grain of high ISO.", "Scans."], "limitations": ["Not for JPEG's blocks."]}
    card = render_card(entry.manifest.replace(**uses))
    assert "## What it is for\n\n- Grain of high ISO.\n- Scans.\n\n" in card
    assert "## What it is not for\n\n- Not for JPEG's blocks.\n\n" in card


def test_a_card_shows_pictures_and_names_other_files(publish: Callable[..., Entry]) -> None:
    files = {"preview.png": b"1", "curves.png": b"2", "photographs.csv": b"3"}
    card = render_card(publish(files=files).manifest)
    assert "positions of each slider](preview.png)" in card
    assert "[Curves along the sliders](curves.png)" in card
    assert "With it: [photographs.csv](photographs.csv)." in card
    assert "model.safetensors" not in card


def test_a_card_says_how_the_network_was_trained(entry: Entry) -> None:
    training = {"steps": 500, "options": {"batch_size": 16, "patch_px": 48}, "photos": {"count": 53}}
    card = render_card(entry.manifest.replace(metrics={"training": training}))
    assert "Trained for 500 steps of 16 patches of 48 px from 53 photographs." in card


def test_sliders_that_share_a_sum(entry: Entry) -> None:
    space = ControlSpace.simplex("a", "b", "c")
    card = render_card(entry.manifest.replace(space=space.to_dict()))
    assert 'model("photo.png", a=0.3333, b=0.3333)' in card
    assert "share a sum of 1" in card
    assert "of rank 4" in render_card(entry.manifest.replace(rank=4))

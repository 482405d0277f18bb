from pipelines.tracking.metric_names import name_metrics, select_numbers


def test_a_point_of_training_begins_with_its_loss() -> None:
    point = {
        "epoch": 2.0,
        "loss": 0.5,
        "shares": {"RMSE": 0.25},
        "lr": 0.1,
        "validation": {"loss": 0.4, "psnr": 30.0, "at": {"denoise 0 deblur 1": {"psnr": 28.0}}},
    }
    named = name_metrics(point, "train")
    assert named == {
        "train/loss": 0.5,
        "train/loss_RMSE": 0.25,
        "train/lr": 0.1,
        "train/progress/epoch": 2.0,
        "validation/loss": 0.4,
        "validation/psnr": 30.0,
        "validation/psnr at denoise 0 deblur 1": 28.0,
    }
    assert next(iter(named)) == "train/loss"
    assert list(name_metrics({**point, "validation": {}}, "train")) == list(named)[:4]


def test_scores_of_a_trial_are_beside_its_losses() -> None:
    scores = {"score": {"hypervolume": 0.7, "points": {"denoise": 1}}, "settings": []}
    assert name_metrics(scores, "train") == {"score/hypervolume": 0.7, "score/points.denoise": 1.0}
    assert name_metrics({"best": {"hypervolume": 0.7}}, "search") == {"search/best.hypervolume": 0.7}


def test_results_of_a_test_are_a_group_of_their_own() -> None:
    assert name_metrics({"psnr": 30.0, "sliders_alive": True}, "test") == {"test/psnr": 30.0}


def test_numbers_are_found_at_any_depth() -> None:
    values = {"a": 1, "b": {"c": 0.5, "d": {"e": 2}, "f": "text"}, "g": True, "h": [1], "i": None}
    assert select_numbers(values) == {"a": 1.0, "b.c": 0.5, "b.d.e": 2.0}
    assert name_metrics(values, "") == select_numbers(values)

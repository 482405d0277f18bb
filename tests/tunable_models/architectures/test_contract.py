from tunable_models.architectures.contract import convolution, doubling, halving, radius, windows


def test_convolutions_add_up() -> None:
    assert radius([convolution(1), convolution(2)], 1) == 3


def test_a_window_reaches_from_one_end_to_the_other() -> None:
    assert radius([windows(8)], 8) == 7
    assert radius([windows(8), windows(8)], 8) == 7
    assert radius([windows(8, 4), windows(8)], 8) == 11


def test_half_resolution_reaches_twice_as_far() -> None:
    assert radius([doubling, halving], 2) == 1
    assert radius([doubling, convolution(1), halving], 2) == 3


def test_odd_windows_reach_further_to_one_side() -> None:
    assert radius([windows(7, 3), windows(7)], 7) == max(
        max(pixel - first, last - pixel)
        for pixel in range(7)
        for first, last in [windows(7)(*windows(7, 3)(pixel, pixel))]
    )
    assert windows(7, 3)(3, 3) == (3, 9)
    assert windows(7, 3)(2, 2) == (-4, 2)

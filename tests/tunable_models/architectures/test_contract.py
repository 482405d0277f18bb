from tunable_models.architectures.contract import (
    convolution_step,
    count_radius,
    doubling_step,
    halving_step,
    windows_step,
)


def test_convolutions_add_up() -> None:
    assert count_radius([convolution_step(1), convolution_step(2)], 1) == 3


def test_a_window_reaches_from_one_end_to_the_other() -> None:
    assert count_radius([windows_step(8)], 8) == 7
    assert count_radius([windows_step(8), windows_step(8)], 8) == 7
    assert count_radius([windows_step(8, 4), windows_step(8)], 8) == 11


def test_half_resolution_reaches_twice_as_far() -> None:
    assert count_radius([doubling_step, halving_step], 2) == 1
    assert count_radius([doubling_step, convolution_step(1), halving_step], 2) == 3


def test_odd_windows_reach_further_to_one_side() -> None:
    assert count_radius([windows_step(7, 3), windows_step(7)], 7) == max(
        max(pixel - first, last - pixel)
        for pixel in range(7)
        for first, last in [windows_step(7)(*windows_step(7, 3)(pixel, pixel))]
    )
    assert windows_step(7, 3)(3, 3) == (3, 9)
    assert windows_step(7, 3)(2, 2) == (-4, 2)

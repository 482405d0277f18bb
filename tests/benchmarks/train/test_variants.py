from benchmarks.train.variants import LOCAL, RAY, TWO, variants


def test_a_gpu_has_variants_of_its_own() -> None:
    gpu = variants(ray=True)
    assert f"{LOCAL}, compile, channels_last" in gpu
    assert TWO not in gpu
    assert RAY not in variants(ray=False)

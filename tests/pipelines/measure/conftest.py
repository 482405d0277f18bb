from evaluation import config, empty_hub, lpips, one_thread, photos

__all__ = ["config", "empty_hub", "lpips", "one_thread", "photos"]

"""Published networks that others are measured or trained through: VGG, LPIPS, NIQE."""

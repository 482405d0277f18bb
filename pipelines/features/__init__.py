"""Published networks that others are measured, trained or started with: VGG, LPIPS, NIQE, spandrel's."""

"""What every part of the pipelines uses: options, errors, files, progress, signals."""

"""The server of LitServe that :mod:`benchmarks.serve` compares with; its workers import this module."""

import litserve  # type: ignore[import-not-found, unused-ignore]
import torch
from fastapi import Response, UploadFile

import zoo
from zoo.pictures.formats import BY_NAME


class Api(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Restore the picture of a form.

    Args:
        entry: of the zoo.
        threads: of each worker.
    """

    def __init__(self, entry: str, threads: int) -> None:
        super().__init__(api_path="/apply")
        self.entry, self.threads = entry, threads

    def setup(self, device: str) -> None:
        """Load the model in a worker."""
        torch.set_num_threads(self.threads)
        self.model = zoo.load(self.entry)

    def decode_request(self, request: UploadFile) -> bytes:
        """The file that was sent."""
        return request.file.read()

    def predict(self, picture: bytes) -> bytes:
        """The restored picture, as PNG."""
        return BY_NAME["PNG"].encode(self.model.restore(zoo.read_picture(picture)), level=1)

    def encode_response(self, output: bytes) -> Response:
        """The answer."""
        return Response(output, media_type="image/png")


def run_server(entry: str, port: int, workers: int) -> None:
    """Serve until the process ends, with as many workers and threads in each."""
    server = litserve.LitServer(
        Api(entry, workers), accelerator="cpu", workers_per_device=workers, timeout=False
    )
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")

"""Open the page on papers that 05_ask_papers has indexed: python3 -m parentcare.assistant

Answers come by extraction, from a run's adapter (--run NAME), or from an OpenAI-compatible server (--server URL).
"""

import argparse
import sys
from pathlib import Path

from parentcare.environment import enter_environment
from parentcare.manifest import HOME


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python3 -m parentcare.assistant", description=__doc__, formatter_class=layout)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 opens the page to the network")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--index", type=Path, default=HOME / "outputs" / "index", metavar="FOLDER")
    parser.add_argument("--run", default="", metavar="NAME", help="answer with this run's adapter")
    parser.add_argument("--adapter", default="", metavar="SOURCE", help="a folder or a published name in its place")
    parser.add_argument("--server", default="", metavar="URL", help="such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="", metavar="NAME", help="the server's name for the model")
    parser.add_argument("--instruct", action="store_true", help="the server's model answers over all passages at once")
    return parser.parse_args(words)


def main() -> None:
    """Serve the page until it is stopped. Raises SystemExit in one sentence where something is missing."""
    from parentcare.assistant import app, index, writers
    from parentcare.model.loading import choose_device

    asked = parse_arguments()
    model_here = bool(asked.run or asked.adapter) and not asked.server
    server = {"server": asked.server, "model": asked.model, "instruct": asked.instruct}
    try:
        papers = index.load_index(asked.index)
        device = choose_device() if model_here else "cpu"
        writer = writers.choose_writer(asked.run, device, asked.adapter, **server)
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(str(error))
    # a model in this process answers one at a time
    app.launch(app.build_page(papers, writer, concurrency=1 if model_here else 4), asked.host, asked.port)


if __name__ == "__main__":
    enter_environment(["ask"])
    main()

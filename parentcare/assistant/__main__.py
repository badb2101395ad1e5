"""Open the page on papers that 05_ask_papers has indexed: python3 -m parentcare.assistant

Answers come by extraction, from a run's adapter (--run NAME), or from an OpenAI-compatible server (--server URL).
"""

import argparse
import sys

from parentcare.environment import enter_environment
from parentcare.manifest import HOME


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        prog="python3 -m parentcare.assistant",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 opens the page to the network")
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--index", default=HOME / "outputs" / "index", metavar="FOLDER")
    parser.add_argument("--run", default="", metavar="NAME", help="answer with this run's adapter")
    parser.add_argument("--adapter", default="", metavar="SOURCE", help="a folder or a published name in its place")
    parser.add_argument("--server", default="", metavar="URL", help="such as http://127.0.0.1:8000/v1")
    parser.add_argument("--model", default="", metavar="NAME", help="the server's name for the model")
    parser.add_argument("--instruct", action="store_true", help="the server's model answers over all passages at once")
    return parser.parse_args(words)


def main() -> None:
    """Serve the page until it is stopped. Raises SystemExit in one sentence where something is missing."""
    from parentcare.assistant.app import build_page, launch
    from parentcare.assistant.index import load_index
    from parentcare.assistant.writers import choose_writer
    from parentcare.model.loading import choose_device

    arguments = parse_arguments()
    try:
        index = load_index(arguments.index)
        model_here = bool(arguments.run or arguments.adapter) and not arguments.server
        server = {"server": arguments.server, "model": arguments.model, "instruct": arguments.instruct}
        device = choose_device() if model_here else "cpu"
        writer = choose_writer(arguments.run, device, arguments.adapter, **server)
    except (OSError, ValueError, RuntimeError) as error:
        sys.exit(str(error))
    # a model in this process answers one at a time
    page = build_page(index, writer, concurrency=1 if model_here else 4)
    launch(page, arguments.host, arguments.port)


if __name__ == "__main__":
    enter_environment(["ask"])
    main()

"""The application of compose.sidecar.yaml: asks one question of the gateway beside it, with nothing but the standard
library, and prints the answer and what it cost. Yours would use OpenAI's SDK, which reads the same two variables."""

from __future__ import annotations

import json
import os
import sys
import urllib.request


def main() -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Name the capital city of France."}]}
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{os.environ['OPENAI_BASE_URL']}/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - as above
        completion = json.load(answer)
        cost, model = (answer.headers[f"x-thriftgate-{name}"] for name in ("cost-usd", "model"))
    sys.stdout.write(f"{completion['choices'][0]['message']['content']}\n({model}, ${cost})\n")


if __name__ == "__main__":
    main()

"""Calls of an operation in curl, Python and JavaScript, for the page about the API."""

import json
from collections.abc import Sequence


def curl_code(method: str, address: str, body: object, *, streams: bool) -> str:
    """A call on the command line."""
    words = ["curl"]
    if streams:
        words.append("--no-buffer")
    if body is not None:
        quoted = json.dumps(body).replace("'", "'\\''")
        return f"{' '.join(words)} {address} \\\n  -H 'Content-Type: application/json' -d '{quoted}'"
    if method != "get":
        words.append(f"-X {method.upper()}")
    return f"{' '.join(words)} {address}"


def python_code(method: str, address: str, body: object, *, is_json: bool) -> str:
    """A call with Python's own library."""
    lines = (
        ["import json", "import urllib.request", ""]
        if is_json or body is not None
        else ["import urllib.request", ""]
    )
    if body is None and method == "get":
        lines.append(f'request = urllib.request.Request("{address}")')
    else:
        lines += ["request = urllib.request.Request(", f'    "{address}",']
        if body is not None:
            lines.append(f"    data=json.dumps({body!r}).encode(),")
            lines.append('    headers={"Content-Type": "application/json"},')
        lines += [f'    method="{method.upper()}",', ")"]
    lines.append("with urllib.request.urlopen(request) as response:")
    lines.append("    print(json.load(response))" if is_json else "    print(response.read().decode())")
    return "\n".join(lines)


def javascript_code(method: str, address: str, body: object, media_types: Sequence[str]) -> str:
    """A call in a browser or in Node.js."""
    if "text/event-stream" in media_types:
        return (
            f'const events = new EventSource("{address}");\n'
            'events.addEventListener("status", ({ data }) => console.log(JSON.parse(data).stage));\n'
            'events.addEventListener("result", ({ data }) => {\n'
            "  console.log(JSON.parse(data));\n  events.close();\n});"
        )
    read = "json" if "application/json" in media_types else "text"
    if body is None and method == "get":
        return f'const response = await fetch("{address}");\nconsole.log(await response.{read}());'
    sent = (
        f'\n  headers: {{ "Content-Type": "application/json" }},\n  body: JSON.stringify({json.dumps(body)}),'
        if body is not None
        else ""
    )
    return (
        f'const response = await fetch("{address}", {{\n  method: "{method.upper()}",{sent}\n}});\n'
        f"console.log(await response.{read}());"
    )

"""Forms with files: `multipart/form-data` (RFC 7578) as bytes."""

import secrets
from collections.abc import Mapping


def multipart(fields: Mapping[str, str], files: Mapping[str, tuple[str, bytes]]) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a form. `files`: for each field, the file's name and its content.

    Names and values are our own; a value with a line break raises ValueError.
    """
    boundary = f"twitchaudio-{secrets.token_hex(16)}"
    parts: list[bytes] = []
    for name, value in fields.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"the form's {name} holds a line break")
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for name, (file, content) in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        parts += [head.encode(), content, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, b"".join(parts)

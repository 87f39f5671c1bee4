"""An override that can be pasted into a shell."""

import re
import shlex


def override(key: str, value: object) -> str:
    """Return `key=value` as an argument that both a shell and Hydra's grammar take for this very value."""
    text = str(value)
    if not re.fullmatch(r"/[A-Za-z0-9_/.:-]*", text):
        text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)  # no interpolation
        text = re.sub(
            r"(\\+)$", lambda found: found[1] * 2, re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
        )
        text = f"'{text}'"
    return shlex.quote(f"{key}={text}") if "'" not in text or re.search(r'["$`\\!\n]', text) else f'"{key}={text}"'

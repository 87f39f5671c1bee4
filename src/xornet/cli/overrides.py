"""The overrides of a command line: which of them caused an error, and how to print one for a shell."""

import re
import shlex
from collections.abc import Mapping, Sequence

GLOBAL = ("experiment", "hparams_search", "debug")  # groups whose files override the others
NEEDED = ("data", "model", "optimizer", "trainer")  # of which a command chooses a file
NODES = (*NEEDED, "scheduler", "callbacks", "logger")
GROUPS = (*NODES, *GLOBAL)  # of conf/

Parts = tuple[str, str, str]  # of an override: its key, "=" and its value


def blamed(overrides: Sequence[str], message: str, remedy: str, place: str) -> str:
    """Return the overrides that caused an error, unless its message names them itself.

    Args:
        overrides: the `key=value` arguments of the command line.
        message: the error, perhaps with a remedy after a semicolon, which may name other keys.
        remedy: is added to a message that has none.
        place: the part of the configuration where the error was raised, if that is known.

    """
    words = [override for override in overrides if re.match("[^-/].*=|~", override)]
    words = list({override.lstrip("+~").partition("=")[0]: override for override in words}.values())  # the last counts
    given = [override.lstrip("+~").partition("=") for override in words]
    about = told(given, message)
    if about is None:
        about = guessed(given, message, place)
    said = message + remedy
    shown = {"".join(one): override.lstrip("+") for one, override in zip(given, words, strict=True)}
    return " ".join(shown["".join(one)] for one in about if not (one[0] in said and is_word(one[2], said)))


def told(given: Sequence[Parts], message: str) -> list[Parts] | None:
    """Return the overrides that caused an error with a message whose form tells them; None for other messages."""
    subject = message.partition(" ")[0]
    of_file = [one for one in given if one[0] in GROUPS and f"/{one[0]}/{one[2]}.yaml" in message]
    if message.startswith(f"{subject} is no key of"):
        below = [one for one in given if f"{one[0]}.".startswith(f"{subject}.") or is_holder(one, subject)]
        return below or [one for one in given if one[0] in (GROUPS if subject == "_target_" else GLOBAL)]
    if " is no argument of " in message and subject.partition("=")[0] not in (one[0] for one in given):
        group = subject.partition(".")[0]
        classes = [one for one in given if one[0] == f"{group}._target_"]  # in place of that of the group's file
        return classes or [one for one in given if one[0] in (group, *GLOBAL)]
    if message.startswith("that is no option of a group"):
        return [one for one in given if one[0] in GROUPS and not is_option(one[2])]
    return of_file or None


def guessed(given: Sequence[Parts], message: str, place: str) -> list[Parts]:
    """Return the overrides whose key is in a message; else whose last part of the key; else whose value."""
    inside = [one for one in given if one[0].startswith(place)]
    cause = message.partition(";")[0]
    in_file = re.search("unexpected keyword argument|Interpolation key|names no class", cause)  # perhaps, of conf/
    named = [one for one in inside if is_named(one[0].rpartition(".")[2], cause)]
    about = (
        [one for one in given if is_word(one[0], without_paths(cause))]
        or [one for one in given if is_word(one[0], without_paths(message))]
        or [one for one in named if is_word(one[2].replace("null", "None"), cause)]
        or named
        or [one for one in inside if is_telling(one[2]) and is_word(one[2], cause)]
        or [one for one in given if is_telling(one[2]) and is_word(one[2], cause)]
        or [one for one in given if in_file and one[0] in GLOBAL]
        or [one for one in given if "cannot begin a run" in cause and one[0].startswith(f"{cause.partition(' ')[0]}.")]
        or [one for one in given if one[0] in GROUPS and f" {one[0]}." in message]
    )
    if not about and place and sum(one[0].startswith(f"{place}.") for one in given) == 1:
        about = inside  # the only override of that part of the configuration
    return about


def is_holder(one: Parts, key: str) -> bool:
    """Whether an override gives a dictionary that holds a key: `optimizer={lrr:1}`."""
    return one[2].startswith("{") and key.startswith(f"{one[0]}.")


def chosen(choices: Mapping[str, str | None]) -> str:
    """Return the chosen files of the GLOBAL groups, as on a command line."""
    return " ".join(f"{group}={choices[group]}" for group in GLOBAL if choices.get(group))


def is_named(name: str, message: str) -> bool:
    """Whether a message contains a name: with an underscore, else in quotes or before =, as it could be a word."""
    return ("_" in name and is_word(name, message)) or any(
        text in message for text in (f"'{name}'", f"`{name}`", f'"{name}"', f" {name}=")
    )


def is_telling(value: str) -> bool:
    """Whether a value in a message identifies its override: it is no number and no switch."""
    return re.search("[A-Za-z]", value) is not None and value not in ("true", "false", "null", "auto")


def is_option(value: str) -> bool:
    """Whether a value could be the name of a file of a group."""
    return re.fullmatch(r"[A-Za-z_][\w/-]*", value) is not None and value not in ("null", "true", "false")


def without_paths(message: str) -> str:
    """The message without its paths, because directories of jobs contain keys."""
    return re.sub(r"(?<![\w.])/[^\s']*", "", message)


def is_word(text: str, message: str) -> bool:
    """Whether a message contains a key or a value as a whole word, not as an interpolation."""
    return bool(text) and re.search(rf"(?<![\w.])(?<!\${{){re.escape(text)}(?![\w]|\.\w)", message) is not None


def override(key: str, value: object) -> str:
    """Return `key=value` as an argument that a shell and Hydra's grammar both read as exactly this value."""
    text = str(value)
    if not re.fullmatch(r"/[A-Za-z0-9_/.:-]*", text):
        text = re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", text)  # no interpolation
        text = re.sub(
            r"(\\+)$", lambda found: found[1] * 2, re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
        )
        text = f"'{text}'"
    return shlex.quote(f"{key}={text}") if "'" not in text or re.search(r'["$`\\!\n]', text) else f'"{key}={text}"'

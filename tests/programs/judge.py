"""Compares what the guest kept of each case: with tc, and with tc-cli in its place.

judge.py ROOM SAID ORDER [ABSENT]...
    ROOM is tests/programs, SAID the guest's folder, ORDER the file with the cases that were started,
    ABSENT a line for each that could not be.
    Prints a line for each case, each difference that ROOM/differs does not list, and the count.
"""
import json
import os
import re
import sys
from collections import Counter

TOOLS = ("tc", "tc-cli")
# What differs from run to run, whatever the tool.
VOLATILE = [
    (r"\b(installed|used|firstused|expires) \d+ sec", r"\1 N sec"),
    (r"\b(c?tokens): -?\d+", r"\1: N"),
    (r'"(installed|last_used|first_used|c?tokens)": ?-?\d+', r'"\1":0'),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.,]\d+", "TIME"),
    (r"\bpid \d+", "pid N"),
]
# Handles that the kernel chooses: it counts them for the whole machine.
AUTOMATIC = re.compile(r"\b8[0-9a-f]{3}(?=:)(?!::)")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


class Run:
    """What one tool's run of a case left."""

    def __init__(self, folder):
        self.calls, self.dumps = [], []
        at = f"{folder}/calls"
        for name in sorted({name.rsplit(".", 1)[0] for name in os.listdir(at)}):
            self.calls.append({part: self.steady(read(f"{at}/{name}.{part}"))
                               for part in ("words", "status", "out", "err")})
        at = f"{folder}/dumps"
        for number in range(1, len(os.listdir(at)) + 1):
            if os.path.exists(f"{at}/{number}.words"):
                self.dumps.append({(tool, kind): [self.steady(read(f"{at}/{number}.{tool}.{kind}.{part}"))
                                                  for part in ("out", "err", "status")]
                                   for tool in TOOLS for kind in "dj"})
        self.said = [self.steady(read(f"{folder}/{part}")) for part in ("status", "out", "err")]
        self.seconds = read(f"{folder}/seconds").strip()

    @staticmethod
    def steady(text):
        """The text without what differs from run to run."""
        for pattern, to in VOLATILE:
            text = re.sub(pattern, to, text)
        return AUTOMATIC.sub("auto", text)


def sorted_array(found):
    """A line with a list in JSON, sorted."""
    try:
        return "\n".join(sorted(json.dumps(of) for of in json.loads(found[0])))
    except json.JSONDecodeError:
        return found[0]


def ordered(text):
    """Qdiscs and classes sorted: the kernel lists them by the hash of their handles."""
    text = re.sub(r'^\[\{"kind".*\]$', sorted_array, text, flags=re.MULTILINE)
    blocks = re.split(r"^(?=qdisc |class |filter |total acts)", text, flags=re.MULTILINE)
    found, run = [], []
    for block in blocks:
        if block.startswith(("qdisc ", "class ")):
            run.append(block)
        else:
            found += sorted(run) + [block]
            run = []
    return "".join(found + sorted(run))


class Differs:
    """The differences that are meant, as the file `differs` has them."""

    def __init__(self, path, case, traffic):
        self.texts, self.calls, self.used = [], [], Counter()
        # The program sends packets: counters of two runs cannot be compared.
        self.traffic = traffic
        for line in read(path).splitlines():
            if not line or line.startswith("#"):
                continue
            name, pattern, to, reason = (field.removeprefix(" ").replace("\0", "|")
                                         for field in line.replace("\\|", "\0").split(" |"))
            if name not in (case, "*"):
                continue
            if pattern.startswith("call: "):
                self.calls.append((re.compile(pattern[6:]), reason))
            else:
                self.texts.append((re.compile(pattern, re.MULTILINE), to, reason))

    def call(self, words):
        """Whether a call with these words may end otherwise."""
        for pattern, reason in self.calls:
            if pattern.search(words):
                self.used[reason] += 1
                return True
        return False

    def texts_of(self, theirs, ours):
        """Two texts, without what may differ where that makes a difference."""
        if theirs == ours:
            return theirs, ours
        for pattern, to, reason in self.texts:
            changed = pattern.sub(to, theirs), pattern.sub(to, ours)
            if changed != (theirs, ours) and lines(*changed) != lines(theirs, ours):
                self.used[reason] += 1
                theirs, ours = changed
        return (theirs, ours) if theirs == ours else (ordered(theirs), ordered(ours))


def lines(theirs, ours):
    """The lines that only one of two texts has."""
    import difflib
    found = list(difflib.unified_diff(theirs.splitlines(), ours.splitlines(), "tc", "tc-cli", lineterm="", n=0))
    return "\n".join(line for line in found[2:] if not line.startswith("@@"))


def pairs(found):
    """An object as tc-cli has it: tc 6.1 repeats the key `match` of u32, and `success` behind each, and of police
    the key `control_action`."""
    value = dict(found)
    twice = [of for key, of in found if key == "control_action"]
    if len(twice) == 2:
        value["control_action"], value["conform_action"] = twice
    if "match" in value and isinstance(value["match"], dict):
        value["matches"] = [{**of} for key, of in found if key == "match"]
        del value["match"]
        # That of the filter comes first, those of its keys behind it.
        first = next((of for key, of in found if key == "success"), None)
        if first is not None:
            value["success"] = first
    for of in value.get("matches", []):
        of.pop("success", None)
    return value


def arrays(text):
    """The lists of a batch, each decoded, or its text where it is not valid JSON."""
    found = []
    for part in re.split(r"\n(?=\[)", text):
        try:
            found.append(json.loads(part, object_pairs_hook=pairs))
        except json.JSONDecodeError:
            found.append(part)
    return found


def calls(theirs, ours, differs):
    """(where, text) of the calls that differ, and how many do not."""
    found, same = [], 0
    for number, (a, b) in enumerate(zip(theirs, ours), 1):
        meant = a != b and a["words"] == b["words"] and differs.call(a["words"])
        parts = []
        for part in a:
            if not meant or part in ("words", "out"):
                x, y = differs.texts_of(a[part], b[part])
                if x != y:
                    parts.append(f"{part}: {lines(x, y)}")
        if parts:
            found.append((f"call {number}", f"tc {a['words']}\n" + "\n".join(parts)))
        same += a == b
    if len(theirs) != len(ours):
        found.append(("calls", f"{len(theirs)} with tc, {len(ours)} with tc-cli"))
    return found, same


def heads(parts):
    """Text without counters: the first line of each object."""
    return ["\n".join(line for line in part.splitlines() if line.startswith(("qdisc ", "class ", "filter ")))
            for part in parts[:1]] + parts[1:]


def dumps(theirs, ours, differs):
    """(where, text) of what the kernel has otherwise, and of what the tools show otherwise."""
    if len(theirs) != len(ours):
        yield "dumps", f"{len(theirs)} with tc, {len(ours)} with tc-cli"
    for number, (a, b) in enumerate(zip(theirs, ours), 1):
        # The kernel's state, by one tool, after both runs; then one state by both tools.
        compared = [
            ("state", a["tc", "d"], b["tc", "d"]),
            ("text", b["tc", "d"], b["tc-cli", "d"]),
            ("JSON of both runs", a["tc-cli", "j"], b["tc-cli", "j"]),
        ]
        if differs.traffic:
            compared = [("state", heads(a["tc", "d"]), heads(b["tc", "d"])), compared[1]]
        for what, left, right in compared:
            for x, y in zip(left, right):
                x, y = differs.texts_of(x, y)
                if x != y:
                    yield f"{what}, dump {number}", lines(x, y)
        left, right = (arrays(b[tool, "j"][0]) for tool in TOOLS)
        for x, y in zip(left, right):
            if isinstance(y, str):
                yield f"JSON, dump {number}", "tc-cli's is not valid: " + y
            # Where tc's own is not valid, there is nothing to compare with.
            elif isinstance(x, str):
                differs.used["JSON of tc that is not valid"] += 1
            elif x != y:
                yield f"JSON, dump {number}", lines(json.dumps(x, indent=0), json.dumps(y, indent=0))
        if len(left) != len(right):
            yield f"JSON, dump {number}", f"{len(left)} lists of tc, {len(right)} of tc-cli"


def judge(case, title, theirs, ours, differs):
    """Prints how a case went; whether it is the same with both."""
    found, same = calls(theirs.calls, ours.calls, differs)
    for part, a, b in zip(("exit code", "output", "errors"), theirs.said, ours.said):
        a, b = differs.texts_of(a, b)
        if a != b:
            found.append((part, lines(a, b)))
    found += dumps(theirs.dumps, ours.dumps, differs)
    for tool, run in zip(TOOLS, (theirs, ours)):
        if run.said[0].strip() in ("124", "137"):
            found.append(("time", f"the run with {tool} did not end, and was killed after {run.seconds} s"))
    if not theirs.calls:
        found.append(("calls", f"it called tc not once: {theirs.said[2][-300:]}"))
    refused = sum(call["status"].strip() != "0" for call in theirs.calls)
    print(f"{case} ({title}): {len(theirs.calls)} calls, {same} word for word the same, {refused} refused by both, "
          f"{len(theirs.dumps)} dumps, {theirs.seconds} and {ours.seconds} s")
    for where, text in found:
        text = text.replace("\n", "\n        ")
        print(f"    DIFFERENT {where}: {text[:3000]}")
    return not found


def main(room, said, order, *absent):
    listed = Counter()
    passed = failed = 0
    for case in read(order).split():
        file = next(path for folder in ("cases", "commands")
                    if os.path.exists(path := f"{room}/{folder}/{case}"))
        title = re.search("^# program: (.*)", read(file), re.MULTILINE)[1]
        if not all(os.path.exists(f"{said}/{case}.{tool}/{part}")
                   for tool in TOOLS for part in ("status", "seconds", "calls", "dumps")):
            print(f"{case}: FAILED, it did not run, or not to its end")
            failed += 1
            continue
        differs = Differs(f"{room}/differs", case, "\n# traffic" in read(file))
        good = judge(case, title, *(Run(f"{said}/{case}.{tool}") for tool in TOOLS), differs)
        listed += differs.used
        passed += good
        failed += not good
    for reason, count in sorted(listed.items()):
        print(f"listed difference, {count} times: {reason}")
    for line in absent:
        print(f"skipped {line}")
    print(f"{passed} passed, {failed} failed, {len(absent)} skipped")


main(*sys.argv[1:])

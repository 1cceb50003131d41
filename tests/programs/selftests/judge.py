"""Compares how each selftest went with tc and with tc-cli.

judge.py LOG ORDER
    LOG is what the guest said, ORDER the file with the tests that were started. A part that passes with tc
    must pass with tc-cli, and so must a whole test. Prints a line a test, and the count: of whole tests.
"""
import re
import sys
from collections import defaultdict

PART = re.compile(r"^\s*(?:TEST: (?P<test>.*?)\s+\[\s*(?P<a>OK|FAIL|SKIP|XFAIL)\s*\]"
                  r"|(?P<b>ok|not ok|PASS|FAIL|SKIP|OK):? (?P<name>.+?))\s*$")


def parts(text):
    """{part: whether it passed}"""
    found = {}
    for line in text:
        match = PART.match(line)
        if match:
            name, verdict = match["test"] or match["name"], match["a"] or match["b"]
            found[name] = verdict in ("OK", "ok", "PASS")
    return found


def main(log, order):
    said, ended = defaultdict(list), {}
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"(\S+\.sh) (tc|tc-cli) (\||=) ?(.*)", line.rstrip("\r\n"))
            if match and match[3] == "|":
                said[match[1], match[2]].append(match[4])
            elif match:
                status, seconds = match[4].split()
                ended[match[1], match[2]] = int(status), seconds
    passed = failed = skipped = 0
    with open(order, encoding="utf-8") as file:
        tests = file.read().split()
    for test in tests:
        if (test, "tc") not in ended or (test, "tc-cli") not in ended:
            print(f"{test}: FAILED, it did not run")
            failed += 1
            continue
        theirs, ours = (parts(said[test, tool]) for tool in ("tc", "tc-cli"))
        (status, seconds), (own, own_seconds) = ended[test, "tc"], ended[test, "tc-cli"]
        worse = [part for part, ok in theirs.items() if ok and not ours.get(part)]
        if status == 0 and own != 0 and not worse:
            worse = [f"the whole ends with {own}"]
        good = sum(theirs.values())
        times = f"{seconds} and {own_seconds} s"
        if worse:
            failed += 1
            print(f"{test}: DIFFERENT, {len(worse)} of {good} parts do not pass with tc-cli, {times}")
            for part in worse:
                print(f"    {part}")
            for line in said[test, "tc-cli"][-40:]:
                print(f"    | {line}")
        elif status == 0 or good:
            passed += 1
            short = "" if status == 0 else f" of {len(theirs)}; tc ends with {status}"
            print(f"{test}: the same, {good} parts pass{short}, {times}")
        else:
            skipped += 1
            last = (said[test, "tc"] or ["it said nothing"])[-1]
            print(f"skipped {test}: does not pass with tc (status {status}): {last.strip()}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


main(*sys.argv[1:])

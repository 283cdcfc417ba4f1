"""Makes tiny-bytelevel.json and tiny-sentencepiece.json: small tokenizers in the form of GGUF metadata, with ids
from the reference implementations (`tokenizers`, `sentencepiece`); with a SmolLM2 GGUF as argument also
smollm2-encodings.json.

    pip install tokenizers==0.23.3 sentencepiece gguf && python tests/golden/data/make_tokenizers.py [SMOLLM2.gguf]
"""
import json, pathlib, sys, tempfile

import sentencepiece as spm
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

here = pathlib.Path(__file__).parent
corpus = (here / "../../../LICENSE").read_text().splitlines() + [
    "Hello, how are you? I'm fine, thanks.", "Über die Brücke geht der Weg.", "你好，世界", "naïve café\n\n\nnew", "  two  spaces",
    "def f(x):\n    return x + 1\n", "3.14159 and 2,718", "assistant user system persona",
] * 3
texts = [
    "Hello, world!", " leading", "trailing ", "  two  spaces   three", "\n", "\n\n", "a\n\nb\r\n\r\nc", "\t\ttabs", "it's I'M we'll",
    "1234567 3.14 1,000", "½ ³ Ⅷ ٣٤ 一二", "café cafe\u0301 Ångström", "你好，世界 🙂 👩‍👩‍👧 ü", "\ufeffbom", "nel\u0085x", "a\u00a0b\u2003c\u3000d",
    "<|im_start|>user\nHi<|im_end|>\n", "x<|im_end|>y", "def f(x):\n    return x + 1\n", "!!! ??? ... --- ###", "", "The License", "tokenization of unusual words: zxqv",
    "\u0000\u0001 control", "ﬁ ligature", "Don't DON'T don’t",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
split = lambda p: pre_tokenizers.Split(Regex(p), "isolated")
bytelevel = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
PRE = {
    "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    "gpt-2": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "llama-bpe": pre_tokenizers.Sequence([split(LLAMA3), bytelevel]),
    "qwen2": pre_tokenizers.Sequence([split(LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")), bytelevel]),
}


def reference(pre, vocab, merges, special):
    t = Tokenizer(models.BPE(vocab, merges, ignore_merges=pre == "llama-bpe"))
    t.pre_tokenizer = PRE[pre]
    t.decoder = decoders.ByteLevel()
    if pre == "qwen2":
        t.normalizer = normalizers.NFC()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in special])
    return t


def cases(t):
    return [{"text": x, "ids": (ids := t.encode(x, add_special_tokens=False).ids), "decoded": t.decode(ids, skip_special_tokens=False)} for x in texts]


t = Tokenizer(models.BPE())
t.pre_tokenizer = PRE["gpt-2"]
t.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=520, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
state = json.loads(t.to_str())
vocab, merges = state["model"]["vocab"], [tuple(m) for m in state["model"]["merges"]]
# Line breaks merge in the vocabularies of real models; the corpus has too few of them.
for pair in [("Ċ", "Ċ"), ("ĊĊ", "Ċ")]:
    if pair not in merges:
        merges.append(pair)
        vocab[pair[0] + pair[1]] = len(vocab)
tokens = [k for k, _ in sorted(vocab.items(), key=lambda kv: kv[1])]
(here / "tiny-bytelevel.json").write_text(json.dumps({
    "tokens": tokens, "merges": [" ".join(m) for m in merges], "special": len(SPECIAL),
    "encodings": {pre: cases(reference(pre, vocab, merges, SPECIAL)) for pre in PRE},
}, ensure_ascii=False, indent=0) + "\n")

with tempfile.TemporaryDirectory() as d:
    spm.SentencePieceTrainer.train(sentence_iterator=iter([l for l in corpus if l.strip()]), model_prefix=f"{d}/m", vocab_size=600, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, character_coverage=0.995,
        allow_whitespace_only_pieces=True, minloglevel=2)
    sp = spm.SentencePieceProcessor(model_file=f"{d}/m.model")
kind = lambda i: 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1
plain = [x for x in texts if "<|" not in x and "\u0000" not in x]
(here / "tiny-sentencepiece.json").write_text(json.dumps({
    "tokens": [sp.id_to_piece(i) for i in range(len(sp))], "scores": [sp.get_score(i) for i in range(len(sp))], "types": [kind(i) for i in range(len(sp))],
    "encodings": [{"text": x, "ids": (ids := sp.encode(x)), "decoded": sp.decode(ids)} for x in plain],
}, ensure_ascii=False, indent=0) + "\n")

if len(sys.argv) > 1:
    from gguf import GGUFReader
    f = GGUFReader(sys.argv[1]).fields
    toks = [bytes(f["tokenizer.ggml.tokens"].parts[i]).decode() for i in f["tokenizer.ggml.tokens"].data]
    mrg = [tuple(bytes(f["tokenizer.ggml.merges"].parts[i]).decode().split(" ")) for i in f["tokenizer.ggml.merges"].data]
    t = reference("smollm", {s: i for i, s in enumerate(toks)}, mrg, toks[:17])
    (here / "smollm2-encodings.json").write_text(json.dumps(cases(t), ensure_ascii=False, indent=0) + "\n")

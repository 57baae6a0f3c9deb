// SPDX-License-Identifier: MIT
// tokens.mjs SEED TEXTS [FILE…]: texts with their tokens as tiktoken, which is the reference, has
// them; written to standard output for tokens_compare. The texts are
//
//   - every character of Unicode, in several surroundings, so that its class shows;
//   - the given number of generated ones: characters of all planes, odd white space, emoji
//     sequences, contractions, numbers, runs, code, words of many scripts, pieces of the
//     vocabularies put together at random;
//   - long runs, as long as the reference, which is quadratic there, can take;
//   - the files, whole.
import { readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const { get_encoding } = createRequire(import.meta.url)("tiktoken");
const [seed, wanted, ...files] = process.argv.slice(2);
const ENCODINGS = ["cl100k_base", "o200k_base"].map((name) => get_encoding(name));
const MERGES = [100256, 199998], CODE_POINTS = 0x110000, END = 0xFFFFFFFF;

// ---- what is written

function write(buffer) {
    for (let at = 0; at < buffer.length;) {
        try {
            at += writeSync(1, buffer, at);
        } catch (error) {
            if (error.code !== "EAGAIN")
                throw error;
        }
    }
}

let pending = [], pendingBytes = 0;
function push(buffer) {
    pending.push(buffer);
    pendingBytes += buffer.length;
    if (pendingBytes > 1 << 20)
        flush();
}
function flush() {
    write(Buffer.concat(pending));
    pending = [];
    pendingBytes = 0;
}
function pushNumber(n) {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32LE(n);
    push(buffer);
}
function tell(text) {
    const bytes = Buffer.from(text);
    pushNumber(bytes.length);
    push(bytes);
    for (const encoding of ENCODINGS) {
        const ids = encoding.encode_ordinary(text);
        pushNumber(ids.length);
        push(Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength));
    }
}

// ---- chance, from the seed (mulberry32)

let state = Number(seed) >>> 0;
function random() {
    state = state + 0x6D2B79F5 >>> 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const times = (n, make) => Array.from({ length: n }, make).join("");

// ---- the parts of texts

const isSurrogate = (code) => code >= 0xD800 && code <= 0xDFFF;
function anyCharacter() {
    const plane = pick([0, 0, 0, 0, 1, 1, 2, 3, below(17)]);
    const code = plane * 0x10000 + below(0x10000);
    return isSurrogate(code) ? "\uFFFD" : String.fromCodePoint(code);
}
const BLANKS = [..." \t\n\r\v\f\u0085\u00A0\u1680\u180E\u2000\u2001\u2002\u2003\u2004\u2005\u2006" +
    "\u2007\u2008\u2009\u200A\u200B\u2028\u2029\u202F\u205F\u2060\u3000\uFEFF"];
// First and last characters of scripts and blocks whose classes are mixed.
const BLOCKS = [[0x41, 0x7A], [0xC0, 0x24F], [0x300, 0x36F], [0x370, 0x3FF], [0x400, 0x52F],
    [0x530, 0x58F], [0x590, 0x6FF], [0x900, 0xDFF], [0xE00, 0xEFF], [0x10A0, 0x10FF],
    [0x13A0, 0x13FF], [0x1C80, 0x1CBF], [0x1D00, 0x1EFF], [0x1F00, 0x1FFF], [0x2070, 0x218F],
    [0x2460, 0x24FF], [0x2C00, 0x2DFF], [0x3000, 0x30FF], [0x4E00, 0x9FFF], [0xA640, 0xA7FF],
    [0xAB30, 0xABBF], [0xAC00, 0xD7A3], [0xFF00, 0xFFEF], [0x10400, 0x104FF], [0x10D40, 0x10D8F],
    [0x16E40, 0x16E9F], [0x1D400, 0x1D7FF], [0x1E900, 0x1E95F], [0x1F300, 0x1FAFF],
    [0x20000, 0x2A6DF], [0xE0100, 0xE01EF]];
const inBlock = ([first, last]) => String.fromCodePoint(first + below(last - first + 1));
const CONTRACTIONS = ["s", "S", "t", "T", "re", "rE", "RE", "ve", "Ve", "m", "M", "ll", "lL", "d",
    "D", "\u017F", "\u212A", "l", "r", "v", "x", "st", "'s", "\u017Ft", "R\u0117", "le"];
const EMOJI = ["😀", "👩‍👩‍👧", "🇩🇪🇫🇷", "👍🏽", "❤️", "🏴\u{E0067}\u{E0062}\u{E007F}", "1️⃣", "☎︎", "‍", "️"];
const CODE = ["for (int i = 0; i < n; i++) {\n", "    ", "\treturn x->y[0];\r\n", "}\n\n", "//", "/*",
    " */", "!=", "===", "0x1F", "3.14159", "\"a\\n\"", "<|endoftext|>", "<|fim_prefix|>", "</div>",
    "\n/\n", "#include <a.h>\n", "fooBarBazQUX", "snake_case_name", "HTTPServer2", "a::b", "@x", "$_"];
const WORDS = ["the", " of", " Schadenfreude", "naïve", " Ünïcödé", "привет", " мир", "שלום", "مرحبا",
    "नमस्ते", " สวัสดี", "こんにちは", "世界", "한국어", "ΑΒΓαβγς", " ΌΣΟΣ", "ǅungla", "İstanbul", "ﬁne",
    "ჰello", "ᲐᲑა", "Ꭰꭰ", "ⅣⅳⅧ", "x²³", "½¼", "१२३४", "٣٤٥٦", "一二三", "ｆｕｌｌ", "ʰʲˠ", "ªº"];

function ofVocabulary() {
    const which = below(2);
    return Buffer.from(ENCODINGS[which].decode_single_token_bytes(below(MERGES[which]))).toString();
}

const PARTS = [
    () => times(1 + below(6), anyCharacter),
    () => times(1 + below(4), () => pick(BLANKS)),
    () => pick(BLANKS).repeat(1 + below(9)),
    () => { const block = pick(BLOCKS); return times(1 + below(12), () => inBlock(block)); },
    () => pick(["'", "'", "’", "a'"]) + pick(CONTRACTIONS),
    () => times(1 + below(9), () => below(10)),
    () => pick(EMOJI),
    () => pick(CODE),
    () => pick(WORDS),
    () => pick([" ", ""]) + times(1 + below(9), () => inBlock([0x61, 0x7A])),
    () => times(1 + below(5), () => inBlock([0x21, 0x2F])),
    () => pick(["a", "A", " ", "\n", "=", "-", "ab", "aB", "é", "中", "\u0301", "😀", "'", "/\n",
                anyCharacter()]).repeat(1 + below(60)),
    ofVocabulary,
    ofVocabulary,
    () => String.fromCharCode(below(0x80)),
    () => "e" + times(below(4), () => inBlock([0x300, 0x36F])),
];

// ---- the texts

// So that a character's class shows: between letters and numbers, before and after white space,
// in runs. Of the planes where nothing is assigned, or all is private, every sixteenth block.
function everyCharacter() {
    for (let block = 0; block < CODE_POINTS; block += 64) {
        const plane = block >> 16;
        if ((plane >= 4 && plane !== 14) && block % 1024)
            continue;
        let text = "";
        for (let code = block; code < block + 64; code++) {
            const c = isSurrogate(code) ? "" : String.fromCodePoint(code);
            text += `a${c}b ${c}A${c}${c}a\n1${c}2 ${c} .${c}\t${c}'s\r`;
        }
        tell(text);
    }
}

function longRuns() {
    for (const run of ["a", "A", " ", "\n", "é", "中", "ab", "0", "=", "\u0301", "😀", " a", "\r\n",
                       "Aa", "the", "\u0000"])
        for (const length of [127, 128, 129, 511, 512, 513, 2000, 6000])
            tell(run.repeat(length / run.length));
    for (let i = 0; i < 40; i++)
        tell(times(4000, () => inBlock([0x61, 0x61 + 1 + i % 26])));
}

everyCharacter();
for (let n = Number(wanted); n > 0; n--)
    tell(times(1 + below(1 + below(24)), () => pick(PARTS)()));
longRuns();
for (const file of files)
    tell(readFileSync(file, "utf8"));
pushNumber(END);
flush();

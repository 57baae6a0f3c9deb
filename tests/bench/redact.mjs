// SPDX-License-Identifier: MIT
// redact.mjs FILE ROUNDS: the patterns of redact_patterns.txt as one regular expression, over the
// same messages as bench_redact.c. Prints MB/s of the processor's time (the median) and the matches.
import { readFileSync } from "node:fs";

const [file, rounds] = process.argv.slice(2);
const patterns = readFileSync("tests/bench/redact_patterns.txt", "utf8").trimEnd().split("\n");
const all = new RegExp(patterns.map((p) => `(?:${p})`).join("|"), "g");
const bytes = readFileSync(file), pieceBytes = 16 << 10, messages = [];

for (let at = 0, next; at < bytes.length; at = next) {
    const end = bytes.length - at > pieceBytes ? bytes.indexOf(10, at + pieceBytes) : -1;
    next = end < 0 ? bytes.length : end + 1;
    messages.push(bytes.toString("utf8", at, next));
}

function pass() {
    let n = 0;
    for (const text of messages) {
        all.lastIndex = 0;
        while (all.exec(text)) n++;
    }
    return n;
}

const seconds = [];
let found = pass();
for (let i = 0; i < Number(rounds); i++) {
    const start = process.cpuUsage();
    found = pass();
    const used = process.cpuUsage(start);
    seconds.push((used.user + used.system) / 1e6);
}
seconds.sort((a, b) => a - b);
console.log((bytes.length / 1e6 / seconds[seconds.length >> 1]).toFixed(1), found);

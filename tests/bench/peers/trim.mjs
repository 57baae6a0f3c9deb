// SPDX-License-Identifier: MIT
// trim.mjs: trimMessages of @langchain/core, to be measured beside our cut (bench_plan.sh).
//
//   trim.mjs make FILE MESSAGES    a conversation of so many messages, as JSON
//   trim.mjs run FILE TOKENS       trims it: ms, messages and tokens left, ms with counts remembered
//   trim.mjs check FILE TOKENS MESSAGES  tokens of the newest MESSAGES with the system prompt
//
// The counter is exact: gpt-tokenizer's o200k_base, the faster of the encoders of npm, and four
// tokens for each message. "remembered" is the same with every message's count kept in a map, which
// trimMessages does not ask for, but a careful caller might do.
import { readFileSync, writeFileSync } from "node:fs";
import { AIMessage, HumanMessage, SystemMessage, trimMessages } from "@langchain/core/messages";
import { countTokens } from "gpt-tokenizer/encoding/o200k_base";

const [verb, file, number, more] = process.argv.slice(2);

// A small generator, so that every run has the same words (Park and Miller's, public domain).
let seed = 20260101;
const below = (n) => (seed = (seed * 48271) % 2147483647) % n;

function make(messages) {
    const words = "the otter in river that heron stood there all morning could not find it again "
        .repeat(2).split(" ").concat(["tomorrow", "café", "1984", "however,", "日本語", "naïve"]);
    const say = () => Array.from({ length: 20 + below(60) }, () => words[below(words.length)]).join(" ");
    const out = { system: "You are kind. " + say(), messages: [] };
    for (let i = 0; i < messages; i++)
        out.messages.push({ role: i % 2 ? "assistant" : "user", content: say() });
    return out;
}

const one = (text) => countTokens(text) + 4;

function counter(remember) {
    const known = new Map();
    return (messages) => {
        let sum = 0;
        for (const m of messages) {
            let n = remember ? known.get(m.content) : undefined;
            if (n === undefined) {
                n = one(m.content);
                if (remember) known.set(m.content, n);
            }
            sum += n;
        }
        return sum;
    };
}

async function run(talk, tokens) {
    const messages = [new SystemMessage(talk.system)].concat(talk.messages.map((m) =>
        m.role === "user" ? new HumanMessage(m.content) : new AIMessage(m.content)));
    const out = {};
    for (const how of ["exact", "remembered"]) {
        const options = { maxTokens: tokens, strategy: "last", includeSystem: true, startOn: "human",
            tokenCounter: counter(how === "remembered") };
        // The exact one takes seconds, and is warm after the first of them.
        if (how === "remembered") await trimMessages(messages, options);
        const start = process.cpuUsage();
        const left = await trimMessages(messages, options);
        const { user, system } = process.cpuUsage(start);
        out[how] = { ms: (user + system) / 1e3, messages: left.length - 1,
            tokens: counter(false)(left) };
    }
    return out;
}

if (verb === "make") {
    writeFileSync(file, JSON.stringify(make(Number(number))));
} else {
    const talk = JSON.parse(readFileSync(file, "utf8"));
    if (verb === "run") {
        const { exact, remembered } = await run(talk, Number(number));
        console.log(`${exact.ms} ${exact.messages} ${exact.tokens} ${remembered.ms}`);
    } else {
        const newest = talk.messages.slice(talk.messages.length - Number(more));
        const sum = [talk.system, ...newest.map((m) => m.content)].reduce((n, t) => n + one(t), 0);
        console.log(`${sum} ${newest[0]?.role}`);
    }
}

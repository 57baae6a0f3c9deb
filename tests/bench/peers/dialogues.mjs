// SPDX-License-Identifier: MIT
// dialogues.mjs: recorded dialogues as `parley replay` takes them, in conversations of 100 turns and
// more, one a line on standard output.
//
// LoCoMo's conversations are long by themselves: who speaks first is the user, messages in a row of
// one speaker are one turn's, a session begins at the time it is dated, and a question comes after
// the conversation and names the turns of its evidence. SGD's and tau-bench's are short: those that
// follow one another in the file are one conversation here, of at least 100 turns, as a desk's or a
// kiosk's is that starts no new session.
//
//   dialogues.mjs locomo|sgd|tau FILE
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

const TURNS = 100;
const [kind, file] = process.argv.slice(2);
const linesOf = (name) => gunzipSync(readFileSync(name)).toString().trim().split("\n")
    .map((line) => JSON.parse(line));
const print = (conversation) => console.log(JSON.stringify(conversation));

// "1:56 pm on 8 May, 2023"
function timeOf(date) {
    const [, hour, minute, half, day, month, year] =
        date.match(/(\d+):(\d+) ([ap]m) on (\d+) (\w+), (\d+)/);
    const h = (Number(hour) % 12) + (half === "pm" ? 12 : 0);
    return Date.parse(`${day} ${month} ${year} ${h}:${minute} UTC`);
}

function locomo() {
    for (const talk of JSON.parse(readFileSync(file)).convs) {
        const messages = [];
        const turnOf = new Map();
        let turn = 0, session = 0, at = 0, last = null;
        for (const said of talk.turns) {
            const text = said.caption ? `${said.text} [picture: ${said.caption}]` : said.text;
            const role = said.speaker === talk.speakers[0] ? "user" : "assistant";
            at = said.session === session ? at + 30000 : timeOf(said.date);
            session = said.session;
            if (last?.role === role) {
                last.content += `\n${text}`;
            } else if (role === "assistant" && !last) {
                continue;  // nobody has asked anything yet
            } else {
                turn += role === "user";
                messages.push(last = { role, content: text, at: new Date(at).toISOString() });
            }
            turnOf.set(said.id, turn);
        }
        const questions = talk.qa
            .map((q) => ({ text: q.q, evidence: [...new Set(q.evidence.map((e) => turnOf.get(e)))] }))
            .filter((q) => q.evidence.length && q.evidence.every((t) => t > 0));
        print({ id: talk.id, user: talk.id, messages, questions });
    }
}

function joined(name, messagesOf) {
    let messages = [], n = 0;
    for (const dialogue of linesOf(file)) {
        messages.push(...messagesOf(dialogue));
        if (messages.filter((m) => m.role === "user").length < TURNS)
            continue;
        print({ id: `${name}-${++n}`, user: `${name}-${n}`, messages });
        messages = [];
    }
}

if (kind === "locomo")
    locomo();
else if (kind === "sgd")
    joined("sgd", (d) => d.turns.map((t) => ({ role: t.r, content: t.t })));
else if (kind === "tau")
    joined("tau", (d) => d.traj);
else
    throw new Error("dialogues.mjs locomo|sgd|tau FILE");

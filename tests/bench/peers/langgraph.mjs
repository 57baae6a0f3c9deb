// SPDX-License-Identifier: MIT
// langgraph.mjs: turns per second of LangGraph.js with its SQLite checkpointer, as JSON on one
// line.
//
// The graph is the one of its manual: MessagesAnnotation, one node that is the model, a
// checkpointer, one thread_id per conversation, one invoke per turn that brings the new message
// only. The model is a function of this process that returns a fixed reply. `durability` is left
// as it is by default ("async": a step is written while the next one runs; invoke ends when all is
// written). The one setting that is not the default is synchronous=FULL, without which a turn that
// was answered can be lost at a power cut.
//
// Every measured turn finds `prior` messages, or up to 2 more for each turn before it of its run.
// A first round, on other conversations with as much behind them, is not counted: the code is
// compiled by then.
//
//   langgraph.mjs FOLDER CONCURRENT PRIOR TURNS_EACH
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AIMessage, HumanMessage } from "@langchain/core/messages";
import { END, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";

// The texts of bench_turns.c, whose histories have texts of so many bytes.
const USER_TEXT = "Could you tell me a little more about that, please? Thank you!";
const REPLY_TEXT = "Of course: it is a small thing, and I shall gladly say more of it.";
const TEXT_BYTES = 60;
const SYNCHRONOUS_FULL = 2;
const WARM_CONVERSATIONS = 8;
const WARM_MESSAGES = 3000;  // so many are read, at least, before anything is measured

const [folder, ...counts] = process.argv.slice(2);
const [concurrent, prior, turnsEach] = counts.map(Number);
if (!folder || !(concurrent > 0) || !(prior >= 0) || !(turnsEach > 0)) {
    console.error("usage: langgraph.mjs FOLDER CONCURRENT PRIOR TURNS_EACH");
    process.exit(2);
}

const saver = SqliteSaver.fromConnString(join(folder, `langgraph-${prior}.db`));
saver.setup();
saver.db.pragma("synchronous = FULL");

const graph = new StateGraph(MessagesAnnotation)
    .addNode("model", async () => ({ messages: [new AIMessage(REPLY_TEXT)] }))
    .addEdge(START, "model")
    .addEdge("model", END)
    .compile({ checkpointer: saver });

const threadOf = (set, i) => ({ configurable: { thread_id: `${set}-${i}` } });

async function importHistories(set, conversations) {
    for (let i = 0; i < conversations; i++) {
        const messages = Array.from({ length: prior }, (_, m) =>
            m % 2 ? new AIMessage(REPLY_TEXT.slice(0, TEXT_BYTES))
                : new HumanMessage(USER_TEXT.slice(0, TEXT_BYTES)));
        await graph.updateState(threadOf(set, i), { messages });
    }
}

// All conversations at once, each its turns one after the other. Returns seconds.
async function runTurns(set, conversations, turns) {
    const start = process.hrtime.bigint();
    await Promise.all(Array.from({ length: conversations }, async (_, i) => {
        for (let t = 0; t < turns; t++) {
            const state = await graph.invoke({ messages: [new HumanMessage(USER_TEXT)] },
                threadOf(set, i));
            if (state.messages.length !== prior + 2 * (t + 1)
                || state.messages.at(-1).content !== REPLY_TEXT)
                throw new Error(`${set}-${i}: turn ${t + 1} has the wrong messages`);
        }
    }));
    return Number(process.hrtime.bigint() - start) / 1e9;
}

function versionOf(name) {
    return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)))
        .version;
}

const warmTurns = Math.max(2, Math.ceil(WARM_MESSAGES / WARM_CONVERSATIONS / (prior + 1)));
await importHistories("warm", WARM_CONVERSATIONS);
await importHistories("thread", concurrent);
await runTurns("warm", WARM_CONVERSATIONS, warmTurns);
const seconds = await runTurns("thread", concurrent, turnsEach);

if (saver.db.pragma("synchronous", { simple: true }) !== SYNCHRONOUS_FULL)
    throw new Error("synchronous is not FULL");
console.log(JSON.stringify({
    peer: "LangGraph.js",
    turns_per_s: Number((concurrent * turnsEach / seconds).toFixed(2)),
    concurrent, prior, turns: concurrent * turnsEach,
    synchronous: "FULL",
    versions: {
        "node": process.versions.node,
        "@langchain/langgraph": versionOf("@langchain/langgraph"),
        "@langchain/langgraph-checkpoint-sqlite": versionOf("@langchain/langgraph-checkpoint-sqlite"),
        "better-sqlite3": versionOf("better-sqlite3"),
        "sqlite": saver.db.prepare("SELECT sqlite_version()").pluck().get(),
    },
}));
saver.db.close();

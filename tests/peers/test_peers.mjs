// SPDX-License-Identifier: MIT
// test_peers.mjs: the command line against a provider that is not ours, in both dialects. TAP.
//
// Every check has a store of its own, and a word in its messages by which the peer knows what to
// say and the check finds its requests; so they run side by side. PARLEY is the program's path.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CHUNK_CHARS, startPeer } from "./peer.mjs";

const SIDE_BY_SIDE = 4, SECONDS_MAX = 60;
const KEY = { anthropic: "key-of-anthropic", openai: "key-of-openai" };
const USAGE = { input_tokens: 1234, output_tokens: 56, prompt_tokens: 1234, completion_tokens: 56 };
const LONG = "The quick brown fox jumps over the lazy dog, again and again.";
// Two to four bytes a character, combining marks, right to left, and what JSON must escape. aimock
// cuts between UTF-16 units, so no pair of them may lie on a cut.
const UNICODE = "naïve “Grüße” 日本語 שלום e\u0301 \u2028 tab\t \"quoted\" back\\slash\nsecond line. ";

const fixtures = [
    { ask: "say-long", response: { content: LONG, usage: USAGE }, latency: 1 },
    { ask: "say-second", response: { content: "And a second reply.", usage: USAGE } },
    { ask: "say-unicode", response: { content: UNICODE } },
    { ask: "say-emoji", response: { content: "😀👩‍👩‍👧🇩🇪 fine" }, chunkSize: 64 },
    { ask: "say-half", response: { content: "half😀a pair" }, chunkSize: 5 },
    { ask: "say-thought", response: { content: "The answer.", reasoning: "A secret thought." } },
    // Anthropic's whole thinking block, and nothing after it.
    { ask: "say-thinking", response: { content: LONG, reasoning: "Deep thought." },
      truncateAfterChunks: 7, latency: 1 },
    { ask: "say-limit", response: { content: "It goes on and", finishReason: "length" } },
    { ask: "say-tool", response: { toolCalls: [{ name: "lookup", arguments: '{"a":1}' }] } },
    { ask: "fail-400", response: refusal(400, "invalid_request_error", "bad shape") },
    { ask: "fail-401", response: refusal(401, "authentication_error", "no such key") },
    { ask: "fail-429",
      response: { ...refusal(429, "rate_limit_error", "slow down"), retryAfter: 0 } },
    { ask: "fail-later",
      response: { ...refusal(429, "rate_limit_error", "later"), retryAfter: 3600 } },
    { ask: "fail-500", response: refusal(500, "api_error", "broken") },
    { ask: "fail-529", response: refusal(529, "overloaded_error", "overloaded") },
    { ask: "fail-drop", response: { content: LONG }, chaos: { dropRate: 1 } },
    { ask: "fail-hangup", response: { content: LONG }, chaos: { disconnectRate: 1 } },
    { ask: "fail-garbage", response: { content: LONG }, chaos: { malformedRate: 1 } },
    { ask: "once-500",
      response: once(refusal(500, "api_error", "broken once"), { content: "Recovered." }) },
    { ask: "once-overflow",
      response: once(refusal(400, "invalid_request_error", "prompt is too long: 9 tokens > 8",
                             "context_length_exceeded"), { content: "It fits now." }) },
    // Four events at once, then none: the idle deadline ends it.
    { ask: "stall", response: { content: LONG },
      recordedTimings: { ttftMs: 0, interChunkDelaysMs: [1, 1, 1, 6e4], totalDurationMs: 6e4 } },
];
// Streams that break off after n events.
const TEXT_EVENTS = Math.ceil(LONG.length / CHUNK_CHARS);
const CUTS = Array.from({ length: TEXT_EVENTS + 4 }, (_, i) => i + 1);
for (const n of CUTS)
    fixtures.push({ ask: `cut-${n}.`, response: { content: LONG, usage: USAGE },
                    truncateAfterChunks: n, latency: 1 });

function refusal(status, type, message, code) {
    return { status, error: { type, message, code } };
}

// The first answer to each model, then the second.
function once(first, then) {
    const seen = new Set();
    return ({ model }) => (seen.has(model) ? then : (seen.add(model), first));
}

const isSystem = ({ role }) => role === "developer" || role === "system";

// before, after: the events of a stream before its text, and those after it that it needs to be
// whole. system, history: what a request holds, the history as [role, texts]; said: how several
// messages of one person in a row stand in it.
const dialects = [
    {
        name: "anthropic", model: "claude-sonnet-4-5", path: "/v1/messages", before: 2, after: 2,
        system: (body) => body.system,
        history: (body) => body.messages
            .map(({ role, content }) => [role, content.map(({ text }) => text)]),
        said: (...texts) => texts,
    },
    {
        name: "openai", model: "gpt-5-mini", path: "/v1/chat/completions", before: 1, after: 1,
        system: (body) => body.messages.find(isSystem)?.content,
        history: (body) => body.messages.filter((message) => !isSystem(message))
            .map(({ role, content }) => [role, [content]]),
        said: (...texts) => [texts.join("\n\n")],
    },
];

const peer = await startPeer(fixtures);
const root = mkdtempSync(join(tmpdir(), "parley-peers-"));
const CONFIG = join(root, "parley.lua");
writeFileSync(CONFIG, "return {}\n");
const tests = [];
let stores = 0;

// A conversation in a store of its own: ask(text, …options) runs the program once.
function conversation(dialect) {
    const home = join(root, String(++stores));
    mkdirSync(home);
    const run = (args) => new Promise((resolve, reject) => {
        const child = spawn(process.env.PARLEY, args, {
            cwd: root, stdio: ["ignore", "pipe", "pipe"], timeout: SECONDS_MAX * 1000,
            env: {
                HOME: root, PARLEY_CONFIG: CONFIG,
                ANTHROPIC_API_KEY: KEY.anthropic, ANTHROPIC_BASE_URL: peer.url,
                OPENAI_API_KEY: KEY.openai, OPENAI_BASE_URL: `${peer.url}/v1`,
            },
        });
        const streams = { stdout: [], stderr: [] };
        for (const name of Object.keys(streams))
            child[name].on("data", (bytes) => streams[name].push(bytes));
        child.on("error", reject);
        child.on("close", (code, signal) => resolve({
            code: code ?? signal,
            stdout: Buffer.concat(streams.stdout).toString("utf8"),
            stderr: Buffer.concat(streams.stderr).toString("utf8"),
        }));
    });
    const options = ["--store", `sqlite:${home}/parley.db`, "--provider", dialect.name,
                     "--model", dialect.model];
    return {
        home,
        run: (command, ...args) => run([command, ...options, ...args]),
        async ask(text, ...args) {
            const result = await run(["ask", ...options, "-o", "json", ...args, "--", text]);
            return { ...result, ...(result.stdout ? JSON.parse(result.stdout) : {}) };
        },
    };
}

function check(name, body) {
    for (const dialect of dialects)
        tests.push({ name: `${dialect.name}: ${name}`,
                     body: () => body(dialect, conversation(dialect)) });
}

// ---- what arrives

check("a streamed reply arrives whole, with the usage that the server tells", async (api, talk) => {
    const result = await talk.ask("whole say-long");
    assert.equal(result.code, 0, result.stderr);
    assert.equal(result.stderr, "");
    assert.equal(result.status, "done");
    assert.equal(result.stop, "end");
    assert.equal(result.reply, LONG);
    assert.equal(result.provider, api.name);
    assert.equal(result.model, api.model);
    assert.equal(result.usage.input_tokens, 1234);
    assert.equal(result.usage.output_tokens, 56);
    assert.equal(result.usage.estimated, false);
});

check("plain output is the reply and a newline; jsonl's pieces add up to it", async (api, talk) => {
    assert.equal((await talk.run("ask", "plain say-long")).stdout, LONG + "\n");
    const { stdout } = await talk.run("ask", "-o", "jsonl", "lines say-long");
    const events = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const pieces = events.filter(({ event }) => event === "delta");
    assert.equal(events[0].event, "accepted");
    assert.equal(pieces.map(({ text }) => text).join(""), LONG);
    assert.equal(events.at(-1).event, "done");
    assert.equal(events.at(-1).reply, LONG);
});

check("text of all kinds is the same bytes both ways", async (api, talk) => {
    for (const [ask, reply] of [["say-unicode", UNICODE], ["say-emoji", "😀👩‍👩‍👧🇩🇪 fine"]]) {
        const text = `${UNICODE}😀 ${ask} both ways`;
        const result = await talk.ask(text);
        assert.equal(result.status, "done", result.stderr);
        assert.equal(result.reply, reply);
        const request = peer.asked(`${ask} both ways`).find(({ path }) => path === api.path);
        assert.deepEqual(api.history(request.body), [["user", [text]]]);
    }
});

check("a character cut in two by the server is never altered silently", async (api, talk) => {
    const result = await talk.ask("say-half");
    if (result.status === "done")
        assert.equal(result.reply, "half😀a pair");
    else
        assert.ok(result.code === 1 && "half😀a pair".startsWith(result.reply), result.stdout);
});

check("thinking is no part of the reply", async (api, talk) => {
    const result = await talk.ask("say-thought");
    assert.equal(result.status, "done", result.stderr);
    assert.equal(result.reply, "The answer.");
});

check("a reply that ended at its token limit is cut, a warning, and exit 0", async (api, talk) => {
    const result = await talk.ask("say-limit");
    assert.deepEqual([result.code, result.status, result.stop], [0, "cut", "max_tokens"]);
    assert.equal(result.reply, "It goes on and");
    assert.match(result.stderr, /token limit/);
});

// ---- what was sent

check("the request: address, key, model, streaming, limit", async (api, talk) => {
    await talk.ask(`shape-${api.name} say-long`);
    const [{ path, headers, body }, ...more] = peer.asked(`shape-${api.name}`);
    assert.equal(more.length, 0);
    assert.equal(path, api.path);
    assert.match(headers["content-type"], /^application\/json/);
    assert.equal(body.model, api.model);
    assert.equal(body.stream, true);
    if (api.name === "anthropic") {
        assert.equal(headers["x-api-key"], KEY.anthropic);
        assert.equal(headers["anthropic-version"], "2023-06-01");
        assert.equal(headers.authorization, undefined);
        assert.ok(Number.isInteger(body.max_tokens) && body.max_tokens > 0);
        assert.equal(body.stream_options, undefined);
        assert.ok(body.messages.every(({ role }) => role !== "system"));
    } else {
        assert.equal(headers.authorization, `Bearer ${KEY.openai}`);
        assert.equal(headers["x-api-key"], undefined);
        assert.equal(headers["anthropic-version"], undefined);
        assert.ok(Number.isInteger(body.max_completion_tokens) && body.max_completion_tokens > 0);
        assert.equal(body.max_tokens, undefined);
        assert.deepEqual(body.stream_options, { include_usage: true });
        assert.equal(body.system, undefined);
    }
});

check("the second turn sends the exact history, after the same first bytes", async (api, talk) => {
    const ask = `history-${api.name}`;
    const [one, two, three] = [`${ask} 1 say-long`, `${ask} 2 say-second`, `${ask} 3 say-second`];
    const turns = [await talk.ask(one), await talk.ask(two, "-c"), await talk.ask(three, "-c")];
    assert.deepEqual(turns.map(({ turn }) => turn), ["1", "2", "3"]);
    assert.equal(new Set(turns.map(({ session }) => session)).size, 1);
    const sent = peer.asked(ask);
    assert.equal(sent.length, 3);
    const history = [["user", [one]], ["assistant", [LONG]], ["user", [two]],
                     ["assistant", ["And a second reply."]], ["user", [three]]];
    for (const [i, { body, raw, journal }] of sent.entries()) {
        assert.deepEqual(api.history(body), history.slice(0, 2 * i + 1));
        assert.match(api.system(body), /friendly and helpful/);
        // What the peer itself understood.
        const read = journal.body.messages.filter((message) => !isSystem(message));
        assert.deepEqual(read.map((m) => [m.role, [m.content]]), history.slice(0, 2 * i + 1));
        // All but what closes the messages stays, so that the provider's cache of it holds.
        const before = i ? sent[i - 1].raw.slice(0, -"]}".length) : "";
        assert.ok(raw.startsWith(before), "the beginning changed");
    }
    const { total } = JSON.parse((await talk.run("usage", "-o", "json")).stdout);
    assert.deepEqual([total.calls, total.input_tokens, total.output_tokens], [3, 3 * 1234, 3 * 56]);
});

check("--stateless sends one message, without system prompt", async (api, talk) => {
    const ask = `stateless-${api.name}`;
    await talk.ask(`${ask} one say-long`);
    const result = await talk.ask(`${ask} two say-second`, "-c", "--stateless");
    assert.equal(result.status, "done", result.stderr);
    const { body } = peer.asked(`${ask} two`)[0];
    assert.deepEqual(api.history(body), [["user", [`${ask} two say-second`]]]);
    assert.equal(api.system(body), undefined);
});

check("--key repeated makes no second request; other text is refused", async (api, talk) => {
    const ask = `key-${api.name}`;
    const one = await talk.ask(`${ask} say-long`, "--key", "k1");
    const two = await talk.ask(`${ask} say-long`, "--key", "k1");
    assert.deepEqual([one.code, two.code], [0, 0]);
    assert.deepEqual([two.session, two.turn, two.reply], [one.session, one.turn, LONG]);
    assert.deepEqual(two.usage, one.usage);
    const other = await talk.ask(`${ask} other say-long`, "--key", "k1");
    assert.equal(other.code, 5, other.stderr);
    assert.equal(peer.asked(ask).length, 1);
});

check("neither a key nor what was said is on the disk in the clear", async (api, talk) => {
    const { code, stdout, stderr } = await talk.ask("say-long canary-of-mine");
    assert.equal(code, 0, stderr);
    const files = readdirSync(talk.home);
    const places = files.map((file) => [file, readFileSync(join(talk.home, file))]);
    assert.ok(files.includes("parley.db"), files.join(" "));
    for (const [place, bytes] of [...places, ["the output", stdout + stderr]])
        for (const secret of [...Object.values(KEY), "canary-of-mine"])
            assert.ok(!bytes.includes(secret), `${secret} in ${place}`);
});

// ---- what fails

check("a stream that breaks off, after any event, is not taken for whole", async (api, talk) => {
    for (const n of CUTS.slice(0, api.before + TEXT_EVENTS + api.after)) {
        const result = await talk.ask(`cut-${n}. ${api.name}`);
        assert.equal(result.code, 1, `after ${n}: ${result.stdout}`);
        // When aimock hangs up, Node may drop what it has not written yet: one event at most.
        const came = LONG.slice(0, CHUNK_CHARS * Math.max(0, n - api.before));
        const less = LONG.slice(0, CHUNK_CHARS * Math.max(0, n - api.before - 1));
        assert.ok(result.reply === came || result.reply === less, `after ${n}: ${result.reply}`);
        assert.equal(result.status, result.reply ? "cut" : "failed", `after ${n}`);
        if (result.reply)
            assert.equal(result.stop, "lost");
        assert.equal(peer.asked(`cut-${n}. ${api.name}`).length, 1, "sent again");
    }
});

check("a stream that stalls is cut at its deadline, and what came is kept", async (api, talk) => {
    const result = await talk.ask(`stall ${api.name}`,
                                  "--set", `providers.${api.name}.idle_timeout=300ms`);
    assert.deepEqual([result.code, result.status, result.stop], [1, "cut", "lost"], result.stderr);
    assert.ok(result.reply && LONG.startsWith(result.reply) && result.reply !== LONG, result.reply);
    const next = await talk.ask(`after-stall-${api.name} say-second`, "-c");
    assert.equal(next.status, "done", next.stderr);
    const [{ body }] = peer.asked(`after-stall-${api.name}`);
    const [, [role, texts]] = api.history(body);
    assert.equal(role, "assistant");
    assert.ok(texts[0].startsWith(result.reply), texts[0]);
});

for (const [ask, requests, pattern] of [
    ["fail-400", 1, /HTTP 400.*bad shape/],
    ["fail-401", 1, /HTTP 401.*no such key/],
    ["fail-429", 3, /HTTP 429.*slow down/],
    ["fail-later", 1, /HTTP 429.*more than a minute/],
    ["fail-500", 3, /HTTP 500.*broken/],
    ["fail-529", 3, /HTTP 529.*overloaded/],
    ["fail-drop", 3, /HTTP 500/],
    ["fail-hangup", 1, /may have accepted/],
    ["fail-garbage", 1, /not an event stream/],
    ["nobody-knows-this", 3, /HTTP 503/],
]) {
    check(`${ask}: no reply, exit 1, requests: ${requests}`, async (api, talk) => {
        const result = await talk.ask(`${ask} ${api.name}`);
        assert.equal(result.code, 1, result.stderr);
        assert.equal(result.status, "failed");
        assert.equal(result.reply, "");
        assert.match(result.stderr, pattern);
        assert.equal(peer.asked(`${ask} ${api.name}`).length, requests);
    });
}

check("after a turn without a reply its text goes before the new one", async (api, talk) => {
    const ask = `lost-${api.name}`;
    await talk.ask(`${ask} say-long`);
    await talk.ask(`${ask} fail-400`, "-c");
    const result = await talk.ask(`${ask} again say-second`, "-c");
    const { body } = peer.asked(`${ask} again`)[0];
    assert.deepEqual(api.history(body), [
        ["user", [`${ask} say-long`]], ["assistant", [LONG]],
        ["user", api.said(`${ask} fail-400`, `${ask} again say-second`)],
    ]);
    assert.equal(result.status, "done", result.stderr);
});

check("a tool call without tools leaves no open call in the next request", async (api, talk) => {
    const ask = `tool-${api.name}`;
    const first = await talk.ask(`${ask} say-tool`);
    assert.deepEqual([first.status, first.stop], ["cut", "tool_use"]);
    const next = await talk.ask(`${ask} next say-second`, "-c");
    assert.equal(next.status, "done", next.stderr);
    const [{ raw, body }] = peer.asked(`${ask} next`);
    assert.doesNotMatch(raw, /tool_use|tool_calls/);
    assert.deepEqual(api.history(body),
                     [["user", api.said(`${ask} say-tool`, `${ask} next say-second`)]]);
});

check("a reply cut while the model thought leaves no thinking at an end", async (api, talk) => {
    const ask = `thinking-${api.name}`;
    assert.equal((await talk.ask(`${ask} say-thinking`)).code, 1);
    const next = await talk.ask(`${ask} next say-second`, "-c");
    assert.equal(next.status, "done", next.stderr);
    const [{ body }] = peer.asked(`${ask} next`);
    for (const { content } of body.messages)
        assert.ok(typeof content === "string" || content.at(-1).type === "text", JSON.stringify(body));
});

check("a failure of the moment is tried again, and only the reply shows", async (api, talk) => {
    const result = await talk.ask(`once-500 ${api.name}`);
    assert.deepEqual([result.code, result.reply], [0, "Recovered."], result.stderr);
    assert.equal(result.status, "done");
    const sent = peer.asked(`once-500 ${api.name}`);
    assert.equal(sent.length, 2);
    assert.equal(sent[0].raw, sent[1].raw);
});

check("a context that does not fit is sent again with less of the history", async (api, talk) => {
    for (const n of [1, 2, 3])
        await talk.ask(`overflow-${api.name} ${n} say-long`, ...(n > 1 ? ["-c"] : []));
    const result = await talk.ask(`once-overflow ${api.name}`, "-c");
    assert.deepEqual([result.code, result.reply], [0, "It fits now."], result.stderr);
    assert.equal(result.status, "done");
    assert.match(result.stderr, /less of the history/);
    const sent = peer.asked(`once-overflow ${api.name}`);
    assert.equal(sent.length, 2);
    const [whole, less] = sent.map(({ body }) => api.history(body));
    assert.equal(whole.length, 7);
    assert.ok(less.length < whole.length && less.length % 2 === 1);
    assert.deepEqual(less, whole.slice(-less.length));
});

// ---- running

console.log(`1..${tests.length}`);
const results = new Map();
const queue = [...tests.entries()];
let told = 0;

// The line of this file that failed.
function where(error) {
    return /test_peers\.mjs:\d+/.exec(error.stack)?.[0] ?? "";
}

async function work() {
    for (let next = queue.shift(); next; next = queue.shift()) {
        const [i, { name, body }] = next;
        const failure = await body().then(() => null, (error) => error);
        const line = `${failure ? "not ok" : "ok"} ${i + 1} - peers: ${name}`;
        const why = failure ? `\n${failure.message}\n${where(failure)}` : "";
        results.set(i, line + why.replaceAll("\n", "\n#   "));
        while (results.has(told))
            console.log(results.get(told++));
    }
}
await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
rmSync(root, { recursive: true, force: true });
console.log(`# summary: peers: ${stores} conversations with aimock in two dialects, ` +
            `${peer.asked("").length} requests`);
process.exit([...results.values()].some((line) => line.startsWith("not")) ? 1 : 0);
